import { InvalidAnswerError } from './errors.ts';

/** What an answer must look like; zod's schemas are such, and so the SDK's. */
export interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error };
}

/** @throws {InvalidAnswerError} when the answer to a request of this method does not fit */
export function parseAnswer<T>(method: string, schema: Schema<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new InvalidAnswerError(`${method}: the server's answer is malformed: ${parsed.error.message}`);
}
