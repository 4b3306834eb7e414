import { isTool, type Tool, type ToolContext } from 'mcp-taskpool/tool';

/** A call of a tool by the URL of its module. */
export interface ModuleCall {
  readonly module: string;
  readonly args: Readonly<Record<string, unknown>>;
}

const nobody = () => Promise.reject(new Error('There is nobody to ask'));
const CONTEXT: ToolContext = {
  signal: new AbortController().signal,
  taskId: 'none',
  attempt: 1,
  checkpointed: undefined,
  checkpoint: () => {},
  progress: () => {},
  log: () => {},
  input: nobody,
  sample: nobody,
};
const tools = new Map<string, Tool>();

/** Runs a tool where it is called, with nothing around it. */
export async function runTool({ module, args }: ModuleCall): Promise<unknown> {
  const tool = tools.get(module) ?? (await load(module));
  return tool.run(tool.input.parse(args), CONTEXT);
}

async function load(module: string): Promise<Tool> {
  const { default: tool } = (await import(module)) as { default?: unknown };
  if (!isTool(tool)) throw new Error(`${module} is no tool`);
  tools.set(module, tool);
  return tool;
}
