import { basename } from 'node:path';
import type { Outcome } from '../../tasks/task.ts';

/** How deep causes are followed. */
const MOST_CAUSES = 4;
/** Characters of a message or a stack. */
const LONGEST = 16 * 1024;
/** Shorter values of the environment are no secrets, and words of the language. */
const SHORTEST_SECRET = 8;
/** A path of two parts or more, or a file URL, wherever it stands in a text. */
const PATHS =
  /(?:file:\/\/|(?<![\w.~/-]))(?:\/[^\s'"`:;,()<>[\]{}|/]+){2,}\/?|\b[A-Za-z]:\\[^\s'"`;,()<>[\]{}|]+/g;

/** What a client is told of an error. */
export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly cause?: Failure;
}

type Args = Readonly<Record<string, unknown>>;

/** An error as the client may see it: without a stack, paths of the server's, and values of its environment. */
export function failureOf(error: unknown, args: Args, depth = 0): Failure {
  try {
    if (!(error instanceof Error)) return { name: 'Error', message: redact(wordsFor(error), args) };
    const { name, message, code, cause } = error as unknown as Record<string, unknown>;
    return {
      name: redact(String(name), args),
      message: redact(String(message || name), args),
      ...(typeof code === 'number' && { code }),
      ...(typeof code === 'string' && { code: redact(code, args) }),
      ...(cause !== undefined &&
        cause !== null &&
        depth < MOST_CAUSES && { cause: failureOf(cause, args, depth + 1) }),
    };
  } catch {
    return { name: 'Error', message: 'The tool threw a value that cannot be read' };
  }
}

/** What the operator is told of it: everything. */
export function stackOf(error: unknown, depth = 0): string {
  try {
    if (!(error instanceof Error)) return shorten(wordsFor(error));
    const { stack, message, cause } = error as unknown as Record<string, unknown>;
    const own = shorten(String(stack ?? message));
    const hasCause = cause instanceof Error && depth < MOST_CAUSES;
    return hasCause ? `${own}\nCaused by: ${stackOf(cause, depth + 1)}` : own;
  } catch {
    return 'a value that cannot be read';
  }
}

/** The result of a tool that threw: the message for the model, and the rest for programs. */
export function thrown(failure: Failure): Outcome {
  const result = {
    content: [{ type: 'text', text: failure.message }],
    isError: true,
    _meta: { 'mcp-taskpool/error': failure },
  };
  return { type: 'result', result, isError: true };
}

function wordsFor(value: unknown): string {
  return typeof value === 'string' ? value : `The tool threw ${JSON.stringify(value) ?? String(value)}`;
}

function shorten(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** What the caller has sent is no secret to them. */
function redact(message: string, args: Args): string {
  let known: string | undefined;
  const isKnown = (value: string) =>
    (known ??= JSON.stringify(args)).includes(JSON.stringify(value).slice(1, -1));
  let redacted = shorten(message).replace(PATHS, (path) =>
    isKnown(path) ? path : basename(path.replaceAll('\\', '/')),
  );
  for (const value of Object.values(process.env)) {
    if (value === undefined || value.length < SHORTEST_SECRET || !redacted.includes(value)) continue;
    if (!isKnown(value)) redacted = redacted.replaceAll(value, '[redacted]');
  }
  return redacted;
}
