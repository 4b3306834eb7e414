import { headerValue } from './headers.ts';

const KEY = 'x-mcp-header';
/** A header's name (RFC 9110, "Field Names"). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TYPES: ReadonlySet<unknown> = new Set(['string', 'integer', 'boolean']);

interface Declared {
  /** The chain of properties to the argument. */
  path: readonly string[];
  name: string;
  schema: Record<string, unknown>;
}

/** Why a tool's input schema is not to be used over HTTP (Streamable HTTP, "Schema Extension"); undefined if it is. */
export function headerFault(inputSchema: unknown): string | undefined {
  const declared = declaredIn(inputSchema);
  const names = new Set<string>();
  for (const { path, name, schema } of declared) {
    const where = `the ${KEY} of ${path.join('.')}`;
    if (typeof name !== 'string' || !TOKEN.test(name)) return `${where} is no name of a header`;
    if (!TYPES.has(schema['type'])) return `${where} is on no string, integer or boolean`;
    if (names.has(name.toLowerCase())) return `${where}, ${name}, is that of another property, too`;
    names.add(name.toLowerCase());
  }
  const all = countOf(inputSchema);
  return all === declared.length ? undefined : `it has an ${KEY} that no chain of properties leads to`;
}

/** The headers that repeat the arguments which the schema says it of ("Client Behavior"). */
export function argumentHeaders(inputSchema: unknown, args: unknown): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const { path, name } of declaredIn(inputSchema)) {
    const value = path.reduce<unknown>(
      (at, key) => (isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined),
      args,
    );
    if (typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value)) {
      headers[`mcp-param-${name.toLowerCase()}`] = headerValue(String(value));
    }
  }
  return headers;
}

function declaredIn(schema: unknown, path: readonly string[] = []): Declared[] {
  if (!isObject(schema)) return [];
  const own = path.length > 0 && KEY in schema ? [{ path, name: schema[KEY] as string, schema }] : [];
  const properties = isObject(schema['properties']) ? Object.entries(schema['properties']) : [];
  return [...own, ...properties.flatMap(([key, value]) => declaredIn(value, [...path, key]))];
}

/** How many there are, wherever a schema may be. A property, or a value, may have the key for its name. */
function countOf(schema: unknown): number {
  if (Array.isArray(schema)) return schema.reduce<number>((sum, item) => sum + countOf(item), 0);
  if (!isObject(schema)) return 0;
  let count = KEY in schema ? 1 : 0;
  for (const [key, value] of Object.entries(schema)) {
    if (VALUES.has(key)) continue;
    if (MAPS.has(key) && isObject(value)) count += countOf(Object.values(value));
    else count += countOf(value);
  }
  return count;
}

/** Keywords whose value is no schema. */
const VALUES: ReadonlySet<string> = new Set([KEY, 'const', 'default', 'enum', 'examples', 'required']);
/** Keywords whose value has schemas under names of its own. */
const MAPS: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  'dependentSchemas',
  '$defs',
  'definitions',
]);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
