import type { Readable, Writable } from 'node:stream';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage, RequestId } from '@modelcontextprotocol/sdk/types.js';
import { ErrorCode } from '../errors.ts';
import { idOf, problemOf } from './message.ts';

const NEWLINE = 10;
/** A line that is longer is skipped, and answered. */
const LONGEST_LINE = 64 * 2 ** 20;

/**
 * A line a message (2025-11-25, transports, "stdio"). The SDK's transport answers nothing to a line that is no
 * message, and reads no more after a line of 10 MiB; and it puts a listener on its output for every
 * message that waits for a slow reader.
 */
export class StdioTransport implements Transport {
  onmessage?: Transport['onmessage'];
  onerror?: (error: Error) => void;
  onclose?: () => void;
  readonly #input: Readable;
  readonly #output: Writable;
  /** The beginning of a line. */
  #chunks: Buffer[] = [];
  #length = 0;
  #drained: Promise<void> | undefined;

  constructor(input: Readable, output: Writable) {
    this.#input = input;
    this.#output = output;
  }

  async start(): Promise<void> {
    this.#input.on('data', this.#read).on('error', this.#failed);
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#output.write(`${JSON.stringify(message)}\n`)) return;
    this.#drained ??= new Promise((resolve) => {
      const done = () => {
        this.#output.off('drain', done).off('close', done);
        this.#drained = undefined;
        resolve();
      };
      this.#output.on('drain', done).on('close', done);
    });
    await this.#drained;
  }

  async close(): Promise<void> {
    this.#input.off('data', this.#read).off('error', this.#failed).pause();
    this.#chunks = [];
    this.onclose?.();
  }

  readonly #failed = (error: Error): void => this.onerror?.(error);

  readonly #read = (chunk: Buffer): void => {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.#gather(chunk.subarray(from, end));
      from = end + 1;
      const [chunks, length] = [this.#chunks, this.#length];
      this.#chunks = [];
      this.#length = 0;
      if (length <= LONGEST_LINE) this.#receive(Buffer.concat(chunks).toString());
      else this.#refuse(ErrorCode.parseError, `a line is longer than ${LONGEST_LINE} bytes`);
    }
    this.#gather(chunk.subarray(from));
  };

  #gather(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > LONGEST_LINE) this.#chunks = [];
    else if (part.length > 0) this.#chunks.push(part);
  }

  #receive(line: string): void {
    if (line.trim() === '') return;
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch (error) {
      return this.#refuse(ErrorCode.parseError, `a line is not JSON: ${(error as Error).message}`);
    }
    const problem = problemOf(message);
    if (problem === undefined) this.onmessage?.(message as JSONRPCMessage);
    else this.#refuse(ErrorCode.invalidRequest, problem, idOf(message));
  }

  /** Without an id where it is not known what is answered (2025-11-25, schema, JSONRPCErrorResponse). */
  #refuse(code: number, message: string, id?: RequestId): void {
    this.onerror?.(new Error(message));
    const answer = { jsonrpc: '2.0' as const, ...(id !== undefined && { id }), error: { code, message } };
    this.send(answer as JSONRPCMessage).catch(this.#failed);
  }
}
