import { Argument, Command } from 'commander'
import { withExamples } from './examples.ts'

/** @param programOf creates the commands to complete */
export function completionCommand(programOf: () => Command): Command {
  const command = new Command('completion')
    .description('print a script that completes commands and options in a shell')
    .addArgument(new Argument('<shell>', 'shell to print it for').choices(['bash', 'zsh']))
    .action((shell: string) => {
      process.stdout.write(shell === 'bash' ? bashScript(programOf()) : zshScript(programOf()))
    })
  return withExamples(
    command,
    ['source <(fanfare completion bash)', 'in this shell; add the line to ~/.bashrc to keep it'],
    ['source <(fanfare completion zsh)', 'in ~/.zshrc, after compinit'],
  )
}

/** What can be typed after one command: its subcommands and options. */
interface Place {
  /** The words that lead to the command, such as `queues dead-letters`. */
  readonly path: string
  readonly words: readonly string[]
  /** The values of options that have a fixed set of them. */
  readonly choices: Readonly<Record<string, readonly string[]>>
}

function placesOf(command: Command, path: readonly string[] = []): Place[] {
  // Options of a default command can be given without the command's name.
  const standard = command.commands.find((each) => each.name() === defaultNameOf(command))
  const options = [command, ...(standard ? [standard] : [])].flatMap((each) => each.createHelp().visibleOptions(each))
  const choices = Object.fromEntries(
    options.flatMap((option) => (option.argChoices ? [[option.long as string, option.argChoices]] : [])),
  )
  const values = command.registeredArguments.flatMap((argument) => argument.argChoices ?? [])
  const flags = options.flatMap(({ long }) => (long ? [long] : []))
  const words = [...command.commands.map((each) => each.name()), ...values, ...new Set(flags)]
  return [
    { path: path.join(' '), words, choices },
    ...command.commands.flatMap((each) => placesOf(each, [...path, each.name()])),
  ]
}

/** The subcommand that runs if none is named. */
export function defaultNameOf(command: Command): string | undefined {
  return (command as Command & { readonly _defaultCommandName?: string | null })._defaultCommandName ?? undefined
}

function bashScript(program: Command): string {
  const places = placesOf(program)
  const paths = places.map(({ path }) => path).filter((path) => path !== '')
  return `# Completion of fanfare for bash, printed by "fanfare completion bash".
_fanfare() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path= word words=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path\${path:+ }$word" in
      ${paths.map((path) => `'${path}'`).join('|')}) path="$path\${path:+ }$word" ;;
    esac
  done
  case "$path $previous" in
${places.flatMap(choiceCases).join('\n')}
    *) case "$path" in
${places.map(({ path, words }) => `      '${path}') words='${words.join(' ')}' ;;`).join('\n')}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _fanfare fanfare
`
}

function choiceCases({ path, choices }: Place): string[] {
  return Object.entries(choices).map(([flag, values]) => `    '${path} ${flag}') words='${values.join(' ')}' ;;`)
}

/** zsh runs the bash completion. */
function zshScript(program: Command): string {
  return `# Completion of fanfare for zsh, printed by "fanfare completion zsh".
autoload -U +X bashcompinit && bashcompinit
${bashScript(program)}`
}
