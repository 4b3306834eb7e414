/** The revisions of the protocol that have tasks. */
export type Generation = '2025-11-25' | '2026-07-28';

/** Where a client finds the server: a command to spawn, or a URL with what goes into the header `Authorization`. */
export type Place =
  | { readonly transport: 'stdio'; readonly command: string; readonly args: readonly string[] }
  | { readonly transport: 'http'; readonly url: string; readonly authorization?: string };

/** How a call or a task ended, whichever client saw it. */
export type Outcome =
  | { readonly status: 'completed'; readonly text: string; readonly isError: boolean }
  | { readonly status: 'failed'; readonly message: string }
  | { readonly status: 'cancelled' };

/** A task as a client has it in its hand. */
export interface RunningTask {
  readonly taskId: string;
  readonly outcome: Promise<Outcome>;
  readonly cancel: () => Promise<void>;
}

/** A connection of a client. What the client has no means for is missing. */
export interface Session {
  /** A call as the client makes it where it is told nothing of tasks. */
  call(tool: string, args: Arguments): Promise<Outcome>;
  /** The same, with the progress that was reported until its end. */
  callFollowed?(tool: string, args: Arguments): Promise<{ outcome: Outcome; progress: readonly number[] }>;
  /** A call that is to be a task. */
  start?(tool: string, args: Arguments): Promise<RunningTask>;
  status?(taskId: string): Promise<string>;
  list?(): Promise<readonly string[]>;
  /** Takes up a task of which only this string is left. */
  resume?(reference: string): Promise<Outcome>;
  /** What {@link Session.resume} needs. */
  reference?(taskId: string): string;
  close(): Promise<void>;
}

export type Means = Exclude<keyof Session, 'reference' | 'close'>;

/** A client that we did not write. */
export interface RealClient {
  readonly name: string;
  /** What it has the means for, on each generation that it speaks. */
  readonly means: { readonly [G in Generation]?: readonly Means[] };
  /** @param answer what the user enters in a form that asks for these fields */
  connect(generation: Generation, place: Place, answer: Answer): Promise<Session>;
}

export type Arguments = Readonly<Record<string, string | number>>;
export type Answer = (fields: readonly string[]) => Record<string, string | boolean>;

interface ToolResult {
  readonly content: readonly { readonly type: string; readonly text?: string }[];
  readonly isError?: boolean | undefined;
}

export function completed(result: unknown): Outcome {
  const { content, isError = false } = result as ToolResult;
  return { status: 'completed', text: content.map(({ text }) => text).join(''), isError };
}

/** The names of the fields of a form. */
export function fieldsOf(params: unknown): readonly string[] {
  const { requestedSchema } = params as { requestedSchema?: { properties?: object } };
  return Object.keys(requestedSchema?.properties ?? {});
}
