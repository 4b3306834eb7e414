/** About how many characters a piece has. */
const PIECE = 64 * 1024;

/**
 * JSON is written and read at once, and holds the event loop meanwhile. A large value is therefore kept in pieces: lines of
 * JSON that make it up again, one after the other.
 */
type Piece =
  | readonly ['[']
  | readonly ['{']
  /** The array or object that was begun last is whole. */
  | readonly ['end']
  /** More elements of that array. */
  | readonly ['elements', readonly unknown[]]
  /** More properties of that object. */
  | readonly ['properties', Readonly<Record<string, unknown>>]
  /** The name in that object of the large value that comes next. */
  | readonly ['name', string]
  /** More of a text, which ends with `last`. */
  | readonly ['text' | 'last', string];

/** Whether the value has more than `limit` characters as JSON, roughly; it looks at no more of it than that. */
export function isLarge(value: unknown, limit: number): boolean {
  return weigh(value, limit) > limit;
}

/** The lines that make up a value. */
export function* piecesOf(value: unknown): Generator<string> {
  if (!isLarge(value, PIECE)) yield line('elements', JSON.stringify([value]));
  else if (typeof value === 'string') yield* ofText(value);
  else if (Array.isArray(value)) yield* ofArray(value);
  else if (isPlain(value)) yield* ofObject(value);
  else yield line('elements', JSON.stringify([value]));
}

/** Makes a value of its lines. */
export class Assembly {
  readonly #root: unknown[] = [];
  readonly #open: { readonly value: unknown[] | Record<string, unknown>; name: string | undefined }[] = [
    { value: this.#root, name: undefined },
  ];
  readonly #text: string[] = [];

  add(line: string): void {
    const piece = JSON.parse(line) as Piece;
    switch (piece[0]) {
      case '[':
        this.#begin([]);
        break;
      case '{':
        this.#begin({});
        break;
      case 'end':
        this.#open.pop();
        break;
      case 'elements':
        for (const element of piece[1]) this.#put(element);
        break;
      case 'properties': {
        const { value } = this.#open.at(-1)!;
        for (const name of Object.keys(piece[1])) define(value, name, piece[1][name]);
        break;
      }
      case 'name':
        this.#open.at(-1)!.name = piece[1];
        break;
      case 'text':
        this.#text.push(piece[1]);
        break;
      case 'last':
        this.#text.push(piece[1]);
        this.#put(this.#text.splice(0).join(''));
        break;
    }
  }

  get value(): unknown {
    return this.#root[0];
  }

  #begin(value: unknown[] | Record<string, unknown>): void {
    this.#put(value);
    this.#open.push({ value, name: undefined });
  }

  #put(value: unknown): void {
    const { value: into, name } = this.#open.at(-1)!;
    if (Array.isArray(into)) into.push(value);
    else define(into, name!, value);
  }
}

function* ofText(text: string): Generator<string> {
  let at = 0;
  for (; at + PIECE < text.length; at += PIECE)
    yield line('text', JSON.stringify(text.slice(at, at + PIECE)));
  yield line('last', JSON.stringify(text.slice(at)));
}

function* ofArray(elements: readonly unknown[]): Generator<string> {
  yield line('[');
  const few: unknown[] = [];
  let room = PIECE;
  const collected = () => line('elements', JSON.stringify(few.splice(0)));
  for (const element of elements) {
    const weight = weigh(element, PIECE);
    if (weight > room && few.length > 0) {
      yield collected();
      room = PIECE;
    }
    if (weight > PIECE) yield* piecesOf(element);
    else {
      few.push(element);
      room -= weight;
    }
  }
  if (few.length > 0) yield collected();
  yield line('end');
}

function* ofObject(value: Readonly<Record<string, unknown>>): Generator<string> {
  yield line('{');
  const few: string[] = [];
  let room = PIECE;
  const collected = () => line('properties', `{${few.splice(0).join()}}`);
  for (const name of Object.keys(value)) {
    const property = value[name];
    const weight = weigh(property, PIECE) + name.length;
    if (weight > room && few.length > 0) {
      yield collected();
      room = PIECE;
    }
    if (weight > PIECE) {
      yield line('name', JSON.stringify(name));
      yield* piecesOf(property);
      continue;
    }
    // Undefined for what JSON leaves out.
    const json = JSON.stringify(property) as string | undefined;
    if (json !== undefined) few.push(`${JSON.stringify(name)}:${json}`);
    room -= weight;
  }
  if (few.length > 0) yield collected();
  yield line('end');
}

function line(kind: Piece[0], json?: string): string {
  return json === undefined ? `["${kind}"]\n` : `["${kind}",${json}]\n`;
}

/** About how many characters it has as JSON; of a value that is larger than `limit` more than that. */
function weigh(value: unknown, limit: number): number {
  if (typeof value === 'string') return value.length + 2;
  if (Array.isArray(value)) {
    let weight = 2;
    for (let n = 0; n < value.length && weight <= limit; n++) weight += 1 + weigh(value[n], limit - weight);
    return weight;
  }
  if (!isPlain(value)) return 8;
  let weight = 2;
  for (const name of Object.keys(value)) {
    if (weight > limit) break;
    weight += name.length + 4 + weigh(value[name], limit - weight);
  }
  return weight;
}

/** Nothing that says itself what it is as JSON. */
function isPlain(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { toJSON?: unknown }).toJSON !== 'function'
  );
}

/** An assignment to `__proto__` would make no property. */
function define(into: object, name: string, value: unknown): void {
  Object.defineProperty(into, name, { value, writable: true, enumerable: true, configurable: true });
}
