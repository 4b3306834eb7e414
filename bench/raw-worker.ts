/** What raw Piscina runs, chosen by the export's name. */
export { runTool } from './run-tool.ts';

/** What the tool `noop` makes of its call, without the tool. */
export function noop(): { content: { type: 'text'; text: string }[] } {
  return { content: [{ type: 'text', text: 'done' }] };
}
