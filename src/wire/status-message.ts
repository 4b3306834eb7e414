import type { TaskView } from '../tasks/observer.ts';

/** How a task stands, in words; undefined where its state says it all. */
export function statusMessage({ task, ahead, progress }: TaskView): string | undefined {
  if (task.state === 'queued') return ahead === undefined ? 'queued' : `queued, ${ahead} ahead`;
  if (task.state === 'input_required') return 'waiting for an answer of the client';
  if (progress === undefined) return task.statusMessage ?? (task.state === 'running' ? 'running' : undefined);
  const { done, total, message } = progress;
  return message ?? (total === undefined ? `running, ${done} done` : `running, ${done} of ${total} done`);
}
