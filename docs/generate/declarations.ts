import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export type Declaration =
  | ts.FunctionDeclaration
  | ts.ClassDeclaration
  | ts.InterfaceDeclaration
  | ts.TypeAliasDeclaration
  | ts.VariableStatement

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const sources = new Map<string, ts.SourceFile>()

/** What a module exports, by name; a function has one declaration per overload. Only parsed: checking all types takes far longer. */
export function exportsOf(path: string): Map<string, readonly Declaration[]> {
  const found = new Map<string, readonly Declaration[]>()
  for (const statement of sourceOf(path).statements) {
    if (ts.isExportDeclaration(statement)) {
      for (const [name, declarations] of reexported(path, statement)) found.set(name, declarations)
    } else if (isDeclaration(statement) && statement.modifiers?.some(isExport)) {
      const name = nameOf(statement)
      found.set(name, [...(found.get(name) ?? []), statement])
    }
  }
  return found
}

/** The class that this one extends, if it is one of this project. */
export function baseOf(declaration: ts.ClassDeclaration): ts.ClassDeclaration | undefined {
  const clause = declaration.heritageClauses?.find(({ token }) => token === ts.SyntaxKind.ExtendsKeyword)
  const name = clause?.types[0]?.expression.getText()
  const found = name && imported(declaration.getSourceFile(), name)?.[0]
  return found && ts.isClassDeclaration(found) ? found : undefined
}

/** What a module imports by this name from another one of this project. */
function imported(source: ts.SourceFile, name: string): readonly Declaration[] | undefined {
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement)) continue
    const bindings = statement.importClause?.namedBindings
    if (!bindings || !ts.isNamedImports(bindings)) continue
    if (!bindings.elements.some((element) => element.name.text === name)) continue
    const target = targetOf(source.fileName, statement.moduleSpecifier)
    return target === undefined ? undefined : exportsOf(target).get(name)
  }
  return undefined
}

function sourceOf(path: string): ts.SourceFile {
  let source = sources.get(path)
  if (!source) {
    source = ts.createSourceFile(path, readFileSync(join(ROOT, path), 'utf8'), ts.ScriptTarget.Latest, true)
    sources.set(path, source)
  }
  return source
}

function reexported(path: string, statement: ts.ExportDeclaration): [string, readonly Declaration[]][] {
  const { exportClause, moduleSpecifier } = statement
  const target = moduleSpecifier && targetOf(path, moduleSpecifier)
  if (!exportClause) return [...exportsOf(target as string)]
  if (!ts.isNamedExports(exportClause)) throw new Error(`${path} exports a namespace`)
  return exportClause.elements.map(({ name, propertyName }) => {
    const own = (propertyName ?? name).text
    const declarations = target ? exportsOf(target).get(own) : imported(sourceOf(path), own)
    if (!declarations) throw new Error(`${path}: no declaration of ${own} was found`)
    return [name.text, declarations]
  })
}

function targetOf(path: string, specifier: ts.Expression): string | undefined {
  const text = (specifier as ts.StringLiteral).text
  return text.startsWith('.') ? join(dirname(path), text) : undefined
}

function isDeclaration(node: ts.Node): node is Declaration {
  return (
    ts.isFunctionDeclaration(node) ||
    ts.isClassDeclaration(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isVariableStatement(node)
  )
}

function isExport({ kind }: ts.ModifierLike): boolean {
  return kind === ts.SyntaxKind.ExportKeyword
}

function nameOf(node: Declaration): string {
  const name = ts.isVariableStatement(node) ? node.declarationList.declarations[0]?.name : node.name
  return name?.getText() ?? ''
}
