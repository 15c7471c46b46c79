/** Inside `server`, top down: a file imports from its own layer or from lower ones. ARCHITECTURE.md has the same list. */
export const SERVER_LAYERS: readonly (readonly string[])[] = [
  // A page: nothing of the server imports it.
  ['dashboard'],
  ['main.ts'],
  ['cli'],
  ['index.ts'],
  ['hub.ts', 'hub-parts.ts', 'config.ts', 'defaults.ts', 'version.ts'],
  ['connection', 'http', 'in-process'],
  // Engines receive what the layers below have encoded, and know nothing of its meaning.
  ['engine'],
  ['copy'],
  ['admin'],
  ['monitor'],
  // Of the connections: the hub drains them, an operator looks at them and ends them.
  ['registry'],
  ['stream', 'queue'],
  ['topic'],
  ['broker'],
  ['limit'],
  ['bus'],
  ['network', 'tls'],
  ['auth'],
  // Every layer may report to it.
  ['failure', 'id', 'time'],
]
