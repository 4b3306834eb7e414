import { isDeepStrictEqual } from 'node:util';
import { KeyReusedError, KeyTakenError } from '../errors.ts';
import type { Call, Task } from './task.ts';

/**
 * Makes a request that is repeated, because its answer was lost, say, the same task again. Who sends the
 * same key at the same time waits for the one that creates it.
 */
export class Once {
  readonly #pending = new Map<string, Promise<Task>>();

  /**
   * @param find   looks for the task that has the key
   * @param create is called where there is none
   * @throws {KeyReusedError} when the key was used for another call
   */
  async task(
    owner: string,
    key: string,
    call: Call,
    find: () => Promise<Task | undefined>,
    create: () => Promise<Task>,
  ): Promise<{ task: Task; isNew: boolean }> {
    const name = JSON.stringify([owner, key]);
    const pending = this.#pending.get(name);
    let isNew = false;
    const make = async () => {
      const known = await find();
      if (known !== undefined) return known;
      try {
        const task = await create();
        isNew = true;
        return task;
      } catch (error) {
        // Another server of the same store was first.
        const other = error instanceof KeyTakenError ? await find() : undefined;
        if (other === undefined) throw error;
        return other;
      }
    };
    const made = pending ?? make();
    if (pending === undefined) {
      this.#pending.set(name, made);
      const forget = () => this.#pending.delete(name);
      void made.then(forget, forget);
    }
    const task = await made;
    if (task.call.tool !== call.tool || !isDeepStrictEqual(task.call.args, call.args)) {
      throw new KeyReusedError(key);
    }
    return { task, isNew };
  }
}
