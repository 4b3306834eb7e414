import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { isObjectSchema, type InputRequest } from '../../tool.ts';
import { describe } from './result.ts';

type Fields = Readonly<Record<string, unknown>>;

/** The parameters of an elicitation (2025-11-25, elicitation), and what its answer is checked with. */
export function encodeInput(request: InputRequest): { params: Fields; schema: z.ZodObject | undefined } {
  const { message } = request;
  if (request.mode === 'url') {
    const { url, elicitationId = randomUUID() } = request;
    return { params: { mode: 'url', message, url, elicitationId }, schema: undefined };
  }
  const { requestedSchema } = request;
  if (!isObjectSchema(requestedSchema)) {
    return { params: { mode: 'form', message, requestedSchema }, schema: undefined };
  }
  const { type, properties, required } = z.toJSONSchema(requestedSchema, { io: 'input', target: 'draft-7' });
  const encoded = { type, properties, ...(required !== undefined && { required }) };
  return { params: { mode: 'form', message, requestedSchema: encoded }, schema: requestedSchema };
}

/** @throws {Error} when the content does not fit the schema, naming the fields */
export function decodeInput(result: Fields, schema: z.ZodObject | undefined): Fields {
  const { action, content } = result;
  if (action !== 'accept') return { action };
  if (schema === undefined) return content === undefined ? { action } : { action, content };
  const parsed = schema.safeParse(content);
  if (parsed.success) return { action, content: parsed.data };
  throw new Error(`The user's input does not fit: ${describe(parsed.error, 'input')}`);
}
