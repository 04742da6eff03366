/** The system's socket behind one of Node.js, for another thread to use. Runs in the I/O thread. */

/** What Node.js has behind a socket. */
export interface SocketHandle {
  readonly fd: number;
  readStart(): number;
  readStop(): void;
}

/** Undefined where it has no descriptor: on other systems, and when it is closed. */
export function handleOf(socket: object): SocketHandle | undefined {
  const { _handle: handle } = socket as { readonly _handle?: SocketHandle | null };
  return handle !== null && handle !== undefined && handle.fd >= 0 ? handle : undefined;
}

/** From now on what comes is left to another thread. @returns its handle; undefined when it has none */
export function stopReading(socket: { pause(): unknown }): SocketHandle | undefined {
  const handle = handleOf(socket);
  if (handle === undefined) return undefined;
  socket.pause();
  // Node.js takes it for reading still: a paused stream would else fill its buffer, and so begin to read again.
  handle.readStop();
  return handle;
}

/** After `stopReading`: what comes is read here again. */
export function resumeReading(socket: { resume(): unknown }): void {
  const handle = handleOf(socket);
  // The stream does not begin to read by itself, which it takes for being done.
  handle?.readStart();
  socket.resume();
}
