import type { Tool } from '@modelcontextprotocol/sdk/types.js';
import type { Mode } from '../wire.ts';
import type { Connection } from './connection.ts';
import { listTools } from './requests.ts';

/** The server's tools, asked for once until they change. */
export class ToolList {
  readonly #connection: Connection;
  #tools: Promise<Map<string, Tool>> | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async all(): Promise<Tool[]> {
    return [...(await this.#load()).values()];
  }

  /** The next question is for the server again. */
  drop(): void {
    this.#tools = undefined;
  }

  /** How to call the tool, given how one would like to (tasks, "Tool-Level Negotiation"). */
  async modeOf(name: string, wish: Mode): Promise<Mode> {
    if (!this.#connection.tasks.call) return 'call';
    const tool = (await this.#load()).get(name);
    switch (tool?.execution?.taskSupport) {
      case 'required':
        return 'task';
      case 'optional':
        return wish;
      case 'forbidden':
      case undefined:
        return 'call';
    }
  }

  #load(): Promise<Map<string, Tool>> {
    if (this.#tools !== undefined) return this.#tools;
    const tools = listTools(this.#connection).then((list) => new Map(list.map((tool) => [tool.name, tool])));
    this.#tools = tools;
    tools.catch(() => {
      if (this.#tools === tools) this.drop();
    });
    return tools;
  }
}
