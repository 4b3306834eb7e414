import { note, recall, strike, type Journal } from './journal.ts';
import type { Live } from './live.ts';
import { PendingQuestion, type Answer, type Question } from './question.ts';
import { isTerminal } from './task.ts';

/** Says what has been asked by now, and whether an answer is waited for. */
type Change = (asked: Journal, isWaiting: boolean) => void;

/** Puts a run's question to those who follow the task, unless it has been answered in a run before. */
export function askCaller(
  live: Live,
  question: Question,
  reply: (answer: Answer) => void,
  change: Change,
): void {
  if (isTerminal(live.task)) return;
  const { key, answer } = recall(live.task.asked ?? [], { number: ++live.asked, question });
  if (answer !== undefined) return reply(answer);
  // A task never requires input that its client cannot give.
  for (const observer of live.observers) {
    const refusal = observer.refusal?.(question);
    if (refusal !== undefined) return reply({ type: 'error', message: refusal });
  }
  put(live, key, question, reply, change);
  change(note(live.task.asked ?? [], { key, question }), true);
}

/** Puts a question to those who follow the task, until one of them has the answer. */
export function put(
  live: Live,
  key: string,
  question: Question,
  reply: (answer: Answer) => void,
  change: Change,
): void {
  const tell = () => {
    for (const observer of live.observers) if (pending.isOpen) observer.asked?.(pending);
  };
  const settle = (answer: Answer) => {
    live.questions = live.questions.filter((other) => other !== pending);
    const journal = live.task.asked ?? [];
    // That one client could not be asked says nothing of the next.
    change(
      answer.type === 'answer' ? note(journal, { key, question, answer }) : strike(journal, key),
      live.questions.length > 0,
    );
    reply(answer);
  };
  const pending = new PendingQuestion(key, question, settle, tell);
  live.questions = [...live.questions, pending];
  // Those who are told of the state should know it by then.
  queueMicrotask(() => void live.writes.then(tell));
}
