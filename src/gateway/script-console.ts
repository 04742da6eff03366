/** The client of `luafcgid console`: each thing that is typed is a request to the script that the console runs in. */
import { type AnswerHead, AnswerReader } from './answer.js';
import { callParams } from './script-call.js';
import { Upstream, type UpstreamAddress } from './upstream.js';

export interface Typed {
  /** Absolute path. */
  readonly script: string;
  readonly source: string;
  /** Nothing more is typed: what is not complete is an error. */
  readonly isLast: boolean;
}

/** What came of it. */
export type ConsoleOutcome =
  /** It was run, or was wrong; the output says which. */
  | 'read'
  /** It goes on in the next line. */
  | 'more'
  /** The script could not be loaded: the output is the error. */
  | 'failed'
  | 'stopped';

export interface Evaluation {
  readonly over: Promise<ConsoleOutcome>;
  /** Stops what runs. */
  stop(): void;
}

/** Runs something in the script's state. @param onOutput gets what is printed, as it comes */
export function evaluate(
  address: UpstreamAddress,
  { script, source, isLast }: Typed,
  onOutput: (bytes: Uint8Array) => void,
): Evaluation {
  let stop = (): void => {};
  const over = new Promise<ConsoleOutcome>((resolve, reject) => {
    const answer = new AnswerReader();
    let head: AnswerHead | undefined;
    const call = { script, method: 'POST', query: '', headers: [], body: Buffer.from(source) };
    const params = [...callParams(call), ['CONSOLE_END', isLast ? '1' : ''] as const];
    const upstream = new Upstream(address, params, {
      onOutput: (bytes) => {
        if (answer.hasHead) return onOutput(bytes);
        const complete = answer.push(bytes);
        if (complete === undefined) return;
        head = complete.head;
        if (complete.body.length > 0) onOutput(complete.body);
      },
      onErrorText: () => {},
      onDrain: () => {},
      onEnd: () => resolve(outcomeOf(head)),
      onFailure: reject,
    });
    upstream.sendBody(call.body);
    upstream.endBody();
    stop = () => {
      upstream.close();
      resolve('stopped');
    };
  });
  return { over, stop: () => stop() };
}

function outcomeOf(head: AnswerHead | undefined): ConsoleOutcome {
  const word = head?.headers.find(([name]) => name.toLowerCase() === 'x-console')?.[1];
  return word === 'more' || word === 'read' ? word : 'failed';
}
