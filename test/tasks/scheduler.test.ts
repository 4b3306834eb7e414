import { describe, expect, it } from 'vitest';
import { Scheduler } from '../../src/tasks/scheduler.ts';
import type { Lane } from '../../src/tasks/task.ts';

const waiting = (taskId: string, owner = 'ada', lane: Lane = 'cpu') => ({ taskId, owner, lane });

function drain(scheduler: Scheduler, lane: Lane = 'cpu'): string[] {
  const order: string[] = [];
  for (let taskId = scheduler.next(lane); taskId !== undefined; taskId = scheduler.next(lane))
    order.push(taskId);
  return order;
}

describe('Scheduler', () => {
  it('starts the tasks of one owner in the order in which they came', () => {
    const scheduler = new Scheduler();
    for (const taskId of ['a', 'b', 'c']) scheduler.push(waiting(taskId));
    expect(drain(scheduler)).toEqual(['a', 'b', 'c']);
    expect(scheduler.size).toBe(0);
  });

  it("does not let one owner's 10,000 tasks delay another's first", () => {
    const scheduler = new Scheduler();
    for (let n = 0; n < 10_000; n++) scheduler.push(waiting(`ada-${n}`));
    scheduler.push(waiting('bob-0', 'bob'));
    expect(scheduler.ahead(waiting('bob-0', 'bob'))).toBe(1);
    expect([scheduler.next('cpu'), scheduler.next('cpu')]).toEqual(['ada-0', 'bob-0']);
  });

  it('gives owners turns, also to one that comes back', () => {
    const scheduler = new Scheduler();
    for (const taskId of ['a1', 'a2', 'a3']) scheduler.push(waiting(taskId));
    for (const taskId of ['b1', 'b2']) scheduler.push(waiting(taskId, 'bob'));
    scheduler.push(waiting('c1', 'cy'));
    expect([scheduler.next('cpu'), scheduler.next('cpu'), scheduler.next('cpu')]).toEqual(['a1', 'b1', 'c1']);
    scheduler.push(waiting('c2', 'cy'));
    expect(drain(scheduler)).toEqual(['a2', 'b2', 'c2', 'a3']);
  });

  it('keeps the lanes apart', () => {
    const scheduler = new Scheduler();
    scheduler.push(waiting('slow'));
    scheduler.push(waiting('quick', 'ada', 'io'));
    expect(drain(scheduler, 'io')).toEqual(['quick']);
    expect(scheduler.size).toBe(1);
  });

  it('removes a waiting task once, and knows none that it does not hold', () => {
    const scheduler = new Scheduler();
    for (const taskId of ['a', 'b', 'c']) scheduler.push(waiting(taskId));
    expect(scheduler.remove(waiting('b'))).toBe(true);
    expect(scheduler.remove(waiting('b'))).toBe(false);
    expect(scheduler.ahead(waiting('b'))).toBeUndefined();
    expect(drain(scheduler)).toEqual(['a', 'c']);
  });

  it('says how many start before a task exactly as it then starts them, whatever comes and goes', () => {
    const scheduler = new Scheduler();
    let seed = 42;
    const random = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) % below;
    const held = new Map<string, ReturnType<typeof waiting>>();
    for (let n = 0; n < 5_000; n++) {
      const entry = waiting(`t${n}`, `owner-${random(7)}`);
      scheduler.push(entry);
      held.set(entry.taskId, entry);
      if (random(3) === 0) held.delete(scheduler.next('cpu')!);
      if (random(4) === 0) {
        const [victim] = [...held.values()].slice(random(held.size));
        if (victim !== undefined) {
          scheduler.remove(victim);
          held.delete(victim.taskId);
        }
      }
    }
    expect(scheduler.size).toBe(held.size);
    const said = new Map([...held].map(([taskId, entry]) => [taskId, scheduler.ahead(entry)]));
    const order = drain(scheduler);
    expect(new Map(order.map((taskId, index) => [taskId, index]))).toEqual(
      new Map(order.map((id) => [id, said.get(id)])),
    );
    expect(order).toHaveLength(held.size);
  });
});
