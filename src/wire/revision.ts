/** By its presence in a request's `_meta` the request names the revision that it speaks (2026-07-28, basic, "_meta"). */
const VERSION_META = 'io.modelcontextprotocol/protocolVersion';

/** Whether the parameters of a message say what revision it is of, as those of 2026-07-28 and later do. */
export function claimsRevision(params: unknown): boolean {
  const meta = isObject(params) ? params['_meta'] : undefined;
  return isObject(meta) && VERSION_META in meta;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
