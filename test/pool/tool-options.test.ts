import { defineTool } from 'mcp-taskpool/tool';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openPool } from './runs.ts';

const define = (options: object) => () =>
  defineTool({ description: 'A tool', input: z.object({}), run: () => 'done', ...options });
const ATTEMPTS = '`retry.attempts` must be a whole number, at least 1: how often the call is run at most';
const BACKOFF = "`retry.backoff` must be 'exponential' or a number of milliseconds from 0 to 86400000";

describe('What a tool says about being run again', () => {
  it.each([
    [{ idempotent: 'yes' }, '`idempotent` must be true or false'],
    [{ retry: 3 }, '`retry` must be an object: { attempts, backoff?, on? }'],
    [{ retry: null }, '`retry` must be an object: { attempts, backoff?, on? }'],
    [{ retry: {} }, ATTEMPTS],
    [{ retry: { attempts: 0 } }, ATTEMPTS],
    [{ retry: { attempts: 2.5 } }, ATTEMPTS],
    [{ retry: { attempts: '3' } }, ATTEMPTS],
    [{ retry: { attempts: Infinity } }, ATTEMPTS],
    [{ retry: { attempts: 3, backoff: 'linear' } }, BACKOFF],
    [{ retry: { attempts: 3, backoff: '100' } }, BACKOFF],
    [{ retry: { attempts: 3, backoff: null } }, BACKOFF],
    [{ retry: { attempts: 3, backoff: -1 } }, BACKOFF],
    [{ retry: { attempts: 3, backoff: NaN } }, BACKOFF],
    [{ retry: { attempts: 3, backoff: 86_400_001 } }, BACKOFF],
    [{ retry: { attempts: 3, on: ['EBUSY'] } }, '`retry.on` must be a function'],
  ])('is refused where it makes no sense: %o', (options, problem) => {
    expect(define(options)).toThrow(new TypeError(`defineTool: ${problem}`));
  });

  it.each([
    { idempotent: false },
    { retry: { attempts: 1 } },
    { retry: { attempts: 3, backoff: 0 } },
    { retry: { attempts: 3, backoff: 'exponential', on: () => true } },
  ])('is taken: %o', (options) => {
    expect(define(options)()).toMatchObject(options);
  });

  it('is on its calls, but for what decides by the error', async () => {
    const { toolbox } = await openPool('thread', {
      plain: '',
      never: 'idempotent: false',
      idempotent: 'idempotent: true',
      retry: 'retry: { attempts: 3, on: () => true }',
      both: 'idempotent: true, retry: { attempts: 2, backoff: 50 }',
    });
    const call = (name: string) => toolbox.call(toolbox.get(name)!, {});
    const plain = { args: {}, lane: 'cpu' };
    expect(call('plain')).toEqual({ tool: 'plain', ...plain });
    expect(call('never')).toEqual({ tool: 'never', ...plain });
    expect(call('idempotent')).toEqual({ tool: 'idempotent', ...plain, idempotent: true });
    expect(call('retry')).toEqual({
      tool: 'retry',
      ...plain,
      retry: { attempts: 3, backoff: 'exponential' },
    });
    expect(call('both')).toEqual({
      tool: 'both',
      ...plain,
      idempotent: true,
      retry: { attempts: 2, backoff: 50 },
    });
  });
});
