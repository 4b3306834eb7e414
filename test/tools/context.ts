import type { ToolContext } from 'mcp-taskpool/tool';

export interface Report {
  done: number;
  total: number | undefined;
  message: string | undefined;
}

const nobody = () => Promise.reject(new Error('There is nobody to ask'));

/**
 * What a worker gives a handler, recorded; `onProgress` lets a test act while the handler runs, and `checkpointed` is
 * what a run before has kept.
 */
export function recordingContext(
  onProgress: (report: Report, abort: AbortController) => void = () => {},
  checkpointed?: unknown,
) {
  const controller = new AbortController();
  const reports: Report[] = [];
  const checkpoints: unknown[] = [];
  const context: ToolContext = {
    signal: controller.signal,
    taskId: 'test',
    attempt: checkpointed === undefined ? 1 : 2,
    checkpointed,
    checkpoint: (value) => void checkpoints.push(JSON.parse(JSON.stringify(value))),
    log() {},
    input: nobody,
    sample: nobody,
    progress(done, total, message) {
      const report = { done, total, message };
      reports.push(report);
      onProgress(report, controller);
    },
  };
  return { context, controller, reports, checkpoints };
}

/** For a test that cancels at the first report. */
export const abortAtOnce = (_: Report, controller: AbortController) =>
  controller.abort(new Error('cancelled'));
