import type { Fields } from './caller.ts';
import { differenceOf, nameOf, type Entry, type Ledger } from './ledger.ts';

const INTERRUPTED = /^interrupted: the server stopped while the task was running$/;
const INTERRUPTED_TWICE = /^interrupted: .* 2 times, and is not tried again/;
const TOOLS_GONE = /did not finish: the tools' process/;
const INTERNAL_ERROR = -32603;

/** Holds the end of a task against its arguments, and against what has happened since it was created. */
export function judge(ledger: Ledger, entry: Entry): void {
  const said = JSON.parse(entry.end!) as Fields;
  const { figures } = ledger;
  const since = ledger.since(entry);
  const wrong = (what: string) => ledger.violated(`${nameOf(entry)} ${what}: ${entry.end!.slice(0, 400)}`);
  if (entry.cancel === 'acknowledged' && said.status !== 'cancelled')
    return wrong('was cancelled, and is not');
  if (said.status === 'cancelled') {
    figures.cancelled++;
    if (entry.cancel === 'no') wrong('was cancelled by nobody');
    return;
  }
  if (said.result !== undefined) {
    const { content, structuredContent, isError } = said.result;
    const is = JSON.stringify({ content, structuredContent, isError });
    const {
      content: blocks,
      structuredContent: data,
      isError: fails,
    } = entry.kind.result(entry.args, entry.nonce);
    const due = JSON.stringify({ content: blocks, structuredContent: data, isError: fails });
    if (is !== due) ledger.violated(`${nameOf(entry)} has another result: ${differenceOf(due, is)}`);
    return;
  }
  const { code, message = '' } = said.error ?? {};
  const { isSafe = false } = entry.kind;
  if (code !== INTERNAL_ERROR) return wrong('failed in a way that nobody expects');
  if (INTERRUPTED_TWICE.test(message)) {
    figures.interruptedTwice++;
    if (!isSafe || since.fronts + since.tools < 2) wrong('was not interrupted twice');
    return;
  }
  figures.interrupted++;
  if (isSafe) return wrong('may be run again, and was not');
  const isExplained =
    (INTERRUPTED.test(message) && since.fronts + since.stops > 0) ||
    (TOOLS_GONE.test(message) && since.tools > 0);
  if (!isExplained) return wrong('was interrupted by nothing');
  const { ranMs } = said._meta?.['mcp-taskpool/task'] ?? {};
  if (ranMs === undefined) wrong('was queued, and not run');
}

/** Holds the starts of a call's runs against what may have been. */
export function judgeStarts(ledger: Ledger, entry: Entry, starts: readonly number[]): void {
  const { figures } = ledger;
  const { isSafe, asks, runs } = entry.kind;
  const due = runs?.(entry.args) ?? 1;
  const most = due + (isSafe || asks ? ledger.since(entry).all : 0);
  if (starts.length > most) {
    figures.doubled++;
    ledger.violated(`${nameOf(entry)} was started ${starts.length} times, and not ${most} at most`);
  }
  if (starts.length > due && (isSafe || asks)) figures.rerun++;
  if (starts.some((from) => from > 0)) figures.wentOn++;
  const hasResult = entry.end !== undefined && (JSON.parse(entry.end) as Fields).result !== undefined;
  // A run may have been interrupted before it left its line.
  const least = Math.max(1, due - ledger.since(entry).all);
  if (hasResult && !entry.isOld && starts.length < least)
    ledger.violated(`${nameOf(entry)} has a result after ${starts.length} starts`);
}
