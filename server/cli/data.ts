/** The data of a command line: JSON, or what is not JSON as a string. */
export function parseData(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Data as a line of JSON can show it: bytes as base64. */
export function shownData(data: unknown): { readonly data?: unknown; readonly base64?: string } {
  return data instanceof Uint8Array ? { base64: Buffer.from(data).toString('base64') } : { data }
}
