/** Checks that the front's books balance: each fact that is kept in two places is the same in both. */
import type { FrontOptions } from '../model/actions.js';
import type { Meters } from '../model/connection.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';
import type { WorkerLink } from '../model/worker-link.js';

export interface FrontBooks {
  /** All requests that are not over. */
  readonly requests: ReadonlyMap<number, FrontRequest>;
  readonly connections: ReadonlyMap<number, FrontConnection>;
  /** Memory as it was counted. */
  readonly meters: Meters;
  readonly limits: Pick<FrontOptions, 'bodyTotalBytes' | 'connectionLimit'>;
  /** Requests that workers run. */
  readonly runs: number;
  readonly waitingInPool: number;
  /** Connections closed for others that are not gone yet. */
  readonly leaving: number;
  /** The workers that connections are lent to. */
  readonly workers: Iterable<WorkerLink>;
}

/** Faults, in words; none when the books balance. */
export function auditFront(books: FrontBooks): string[] {
  return [...auditRequests(books), ...auditMemory(books), ...auditLoans(books)];
}

function auditLoans({ connections, workers }: FrontBooks): string[] {
  const faults: string[] = [];
  for (const { id, lending } of workers) {
    const { connections: lent, lender, isGateHeld, isServingDirect } = lending;
    if (lent.size > 0 && !lending.mayBeServing)
      faults.push(`worker ${id} has ${lent.size} connections, and serves none`);
    const { isWantedForStates } = lending;
    if ((isServingDirect || isWantedForStates) !== lender.isWanted)
      faults.push(`worker ${id} is serving direct: ${isServingDirect}, wanted: ${lender.isWanted}`);
    if (lender.lent !== lent.size) faults.push(`worker ${id} reads of ${lender.lent} loans, it has ${lent.size}`);
    if (isGateHeld || lender.isHeld) faults.push(`the gate of worker ${id} is held between two events`);
    for (const connection of lent) {
      if (connection.lentTo !== lending)
        faults.push(`connection ${connection.id} is not known to be lent to worker ${id}`);
    }
  }
  for (const connection of connections.values()) {
    if (connection.lentTo === undefined) continue;
    const where = `connection ${connection.id}, which is lent,`;
    if (!connection.lentTo.connections.has(connection)) faults.push(`${where} is unknown to its worker`);
    // What it sends may be the rest of an answer of its worker, which gives it back in its next message.
    const { openRequests, isInsideRecord } = connection.session;
    if (connection.requests.size > 0 || openRequests > 0 || isInsideRecord) faults.push(`${where} has a request here`);
    if (connection.isClosing || connection.isPaused) faults.push(`${where} is closed or paused`);
  }
  return faults;
}

function auditRequests({ requests, runs, waitingInPool }: FrontBooks): string[] {
  const faults: string[] = [];
  const stages = { looking: 0, reading: 0, waiting: 0, running: 0, over: 0 };
  for (const request of requests.values()) {
    stages[request.stage] += 1;
    const isListed = request.connection.requests.get(request.fcgiId) === request;
    if (isListed === request.isAnswered) {
      faults.push(`request ${request.id}: answered ${request.isAnswered}, listed ${isListed}`);
    }
  }
  if (stages.over > 0) faults.push(`${stages.over} requests are over and still listed`);
  if (runs !== stages.running) faults.push(`${stages.running} requests run, workers have ${runs}`);
  if (waitingInPool !== stages.waiting) {
    faults.push(`${stages.waiting} requests wait, ${waitingInPool} of them in the pool's queue`);
  }
  return faults;
}

function auditMemory({ requests, connections, meters, limits, leaving }: FrontBooks): string[] {
  const faults: string[] = [];
  let [waitingBytes, runningBytes, unsentBytes] = [0, 0, 0];
  for (const request of requests.values()) {
    if (request.stage === 'running') runningBytes += request.heldBytes;
    else waitingBytes += request.heldBytes;
  }
  for (const connection of connections.values()) {
    waitingBytes += connection.session.heldBytes;
    unsentBytes += connection.waitingBytes;
  }
  const counted = { waiting: meters.requests.bytes, running: meters.running.bytes, unsent: meters.unsent.bytes };
  if (counted.waiting !== waitingBytes) faults.push(`requests hold ${waitingBytes} bytes, counted ${counted.waiting}`);
  if (counted.running !== runningBytes)
    faults.push(`running ones hold ${runningBytes} bytes, counted ${counted.running}`);
  if (counted.unsent !== unsentBytes) faults.push(`${unsentBytes} bytes wait to be sent, counted ${counted.unsent}`);
  const { bodyTotalBytes, connectionLimit } = limits;
  if (counted.waiting > bodyTotalBytes) faults.push(`requests hold ${counted.waiting} bytes of ${bodyTotalBytes}`);
  if (connections.size > connectionLimit + leaving) {
    faults.push(`${connections.size} connections are open of ${connectionLimit}`);
  }
  return faults;
}
