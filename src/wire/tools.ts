import type { Tool as ToolDefinition } from '@modelcontextprotocol/sdk/types.js';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import type { TaskSupport } from '../tool.ts';
import type { Call, Lane, Retry } from '../tasks/task.ts';
import { isDeeperThan } from './depth.ts';

/** Arguments that are nested deeper would overflow the stack of what checks and sends them. */
const DEEPEST = 500;

/** What a wire needs to know of a tool; the pool's catalog has it. */
export interface ServedTool {
  readonly lane: Lane;
  readonly task: TaskSupport;
  readonly prepares: boolean;
  readonly timeoutMs: number | undefined;
  readonly ttlMs: number | undefined;
  readonly pollIntervalMs: number | undefined;
  readonly idempotent: boolean;
  readonly retry: Retry | undefined;
  readonly definition: Omit<ToolDefinition, 'execution' | '_meta' | 'icons'>;
}

/** The tools that a server offers, as every protocol revision needs them. */
export class Toolbox {
  readonly #tools: ReadonlyMap<string, ServedTool>;
  readonly #checks = new Map<string, ReturnType<AjvJsonSchemaValidator['getValidator']>>();
  readonly #validator = new AjvJsonSchemaValidator();

  constructor(tools: ReadonlyMap<string, ServedTool>) {
    this.#tools = tools;
  }

  get(name: string): ServedTool | undefined {
    return this.#tools.get(name);
  }

  values(): ServedTool[] {
    return [...this.#tools.values()];
  }

  /** What is wrong with the arguments, field by field; undefined when nothing is. */
  problem(tool: ServedTool, args: Readonly<Record<string, unknown>>): string | undefined {
    const { name, inputSchema } = tool.definition;
    if (isDeeperThan(args, DEEPEST)) {
      return `Invalid arguments for tool ${name}: nested deeper than ${DEEPEST}`;
    }
    let check = this.#checks.get(name);
    if (check === undefined) {
      check = this.#validator.getValidator(
        inputSchema as Parameters<AjvJsonSchemaValidator['getValidator']>[0],
      );
      this.#checks.set(name, check);
    }
    const { valid, errorMessage } = check(args);
    if (valid) return undefined;
    // Ajv's "data/limit must be >= 2" reads "limit must be >= 2".
    const fields = errorMessage.replace(/(^|, )data(\/\S+)?/g, (_, comma: string, path?: string) => {
      return comma + (path === undefined ? 'arguments' : path.slice(1).replaceAll('/', '.'));
    });
    return `Invalid arguments for tool ${name}: ${fields}`;
  }

  call(
    { definition, lane, timeoutMs, idempotent, retry }: ServedTool,
    args: Readonly<Record<string, unknown>>,
  ): Call {
    return {
      tool: definition.name,
      args,
      lane,
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(idempotent && { idempotent }),
      ...(retry !== undefined && { retry }),
    };
  }
}
