const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** Blocks this process's event loop, as a synchronous handler does that computes. It leaves the core to the other processes. */
export function block(ms: number): void {
  Atomics.wait(NEVER, 0, 0, ms)
}
