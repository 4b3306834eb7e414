import type { Tool } from '@modelcontextprotocol/sdk/types.js';
import { QUICK_MS } from '../limits.ts';
import { allPages } from '../pages.ts';
import type { Connection } from './connection.ts';
import { argumentHeaders, headerFault } from './param-headers.ts';
import { ToolPageSchema } from './schemas.ts';

interface Listed {
  tools: readonly Tool[];
  /** By this process's clock. */
  freshUntil: number;
}

/** The server's tools, kept for as long as the server says that they may be (caching). */
export class ToolList {
  readonly #connection: Connection;
  #listed: Promise<Listed> | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async all(): Promise<Tool[]> {
    const listed = await this.#listed;
    if (listed !== undefined && performance.now() >= listed.freshUntil) this.drop();
    return [...(await this.#load()).tools];
  }

  /**
   * The headers that a call with these arguments must have. What is known of the tool will do, be it old:
   * the server refuses headers that are wrong.
   */
  async headersOf(name: string, args: Record<string, unknown>): Promise<Record<string, string> | undefined> {
    if (!this.#connection.hasHeaders) return undefined;
    const { tools } = await this.#load();
    return argumentHeaders(tools.find((tool) => tool.name === name)?.inputSchema, args);
  }

  /** The next question is for the server again. */
  drop(): void {
    this.#listed = undefined;
  }

  #load(): Promise<Listed> {
    if (this.#listed !== undefined) return this.#listed;
    const listed = this.#list();
    this.#listed = listed;
    listed.catch(() => {
      if (this.#listed === listed) this.drop();
    });
    return listed;
  }

  async #list(): Promise<Listed> {
    let freshUntil = Infinity;
    const all = await allPages(async (page) => {
      const { tools, nextCursor, ttlMs } = await this.#connection.request(
        'tools/list',
        page,
        ToolPageSchema,
        {
          timeoutMs: QUICK_MS,
        },
      );
      freshUntil = Math.min(freshUntil, performance.now() + ttlMs);
      return { items: tools, nextCursor };
    });
    return { tools: all.filter((tool) => this.#isUsable(tool)), freshUntil };
  }

  /** "Schema Extension": over HTTP a tool whose headers are wrong is left out, and the others are not. */
  #isUsable({ name, inputSchema }: Tool): boolean {
    const fault = this.#connection.hasHeaders ? headerFault(inputSchema) : undefined;
    if (fault !== undefined) this.#connection.fail(new Error(`The tool ${name} is left out: ${fault}`));
    return fault === undefined;
  }
}
