import type { Live } from './live.ts';
import { PendingQuestion, keyOf, type Answer, type Question } from './question.ts';
import { isTerminal } from './task.ts';

/**
 * Puts a run's question to those who follow the task, until one of them has the answer. The task requires
 * input as long as it has a question without an answer.
 * @param move makes the transition
 */
export function askCaller(
  live: Live,
  question: Question,
  reply: (answer: Answer) => void,
  move: (state: 'running' | 'input_required') => void,
): void {
  if (isTerminal(live.task)) return;
  const tell = () => {
    for (const observer of live.observers) if (pending.isOpen) observer.asked?.(pending);
  };
  const settle = (answer: Answer) => {
    live.questions = live.questions.filter((other) => other !== pending);
    if (live.questions.length === 0 && live.task.state === 'input_required') move('running');
    reply(answer);
  };
  const pending = new PendingQuestion(keyOf({ number: ++live.asked, question }), question, settle, tell);
  live.questions = [...live.questions, pending];
  if (live.task.state === 'running') move('input_required');
  // Those who are told of the state should know it by then.
  void live.writes.then(tell);
}
