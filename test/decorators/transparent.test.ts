import 'reflect-metadata';
import { type CanActivate, Get, SetMetadata, UseGuards } from '@nestjs/common';
import { SyncManager, setCurrentSyncManager } from 'holdfast';
import { currentGrant, LeaderOnly, WithLock } from 'holdfast/decorators';
import { memory } from 'holdfast/memory';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let sync: SyncManager;

beforeEach(() => {
  sync = new SyncManager({ name: 'svc', backend: memory() });
  setCurrentSyncManager(sync);
});
afterEach(async () => {
  setCurrentSyncManager(undefined);
  await sync.stop();
});

const NOTE = Symbol('note');

/** As many frameworks do it: on the function itself. */
function noted(text: string): MethodDecorator {
  return (_, __, descriptor) => {
    Object.assign(descriptor.value as object, { [NOTE]: text, plain: text });
  };
}

class Guard implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}

const CRON = SetMetadata('SCHEDULE_CRON_OPTIONS', { cronTime: '* * * * *' });

class Above {
  @WithLock('above')
  @CRON
  @Get('reports')
  @UseGuards(Guard)
  @noted('text')
  async locked(_id: string, _twice: boolean): Promise<string> {
    return currentGrant().key;
  }

  @LeaderOnly()
  @CRON
  @Get('reports')
  @UseGuards(Guard)
  @noted('text')
  async led(_id: string, _twice: boolean): Promise<void> {}
}

class Below {
  @CRON
  @Get('reports')
  @UseGuards(Guard)
  @noted('text')
  @WithLock('below')
  async locked(_id: string, _twice: boolean): Promise<string> {
    return currentGrant().key;
  }

  @CRON
  @Get('reports')
  @UseGuards(Guard)
  @noted('text')
  @LeaderOnly()
  async led(_id: string, _twice: boolean): Promise<void> {}
}

describe.each([
  ['above', Above],
  ['below', Below],
] as const)('E1: a decorator %s those of frameworks', (where, Service) => {
  test.each(['locked', 'led'] as const)('leaves what they noted on a method: %s', (method) => {
    const found = Service.prototype[method] as (typeof Service.prototype)[typeof method] & {
      [NOTE]?: string;
      plain?: string;
    };
    expect(Reflect.getMetadata('SCHEDULE_CRON_OPTIONS', found)).toEqual({ cronTime: '* * * * *' });
    expect(Reflect.getMetadata('path', found)).toBe('reports');
    expect(Reflect.getMetadata('__guards__', found)).toEqual([Guard]);
    expect([found[NOTE], found.plain]).toEqual(['text', 'text']);
    expect([found.name, found.length]).toEqual([method, 2]);
    expect(Reflect.getMetadata('design:paramtypes', Service.prototype, method)).toEqual([String, Boolean]);
  });

  test('still does its work', async () => {
    expect(await new Service().locked('a', true)).toBe(where);
  });
});

test('E1: two of them on one method, and a standard decorator, leave everything as well', async () => {
  class Twice {
    @LeaderOnly({ otherwise: 'throw' })
    @WithLock((id: string) => `twice/${id}`)
    @CRON
    async run<T>(_id: string, value: T): Promise<T> {
      return value;
    }
  }
  expect(Reflect.getMetadata('SCHEDULE_CRON_OPTIONS', Twice.prototype.run)).toBeDefined();
  expect([Twice.prototype.run.name, Twice.prototype.run.length]).toEqual(['run', 2]);
  expect(await new Twice().run('a', 7)).toBe(7);

  async function pay(_id: string): Promise<void> {}
  Reflect.defineMetadata('route', '/pay', pay);
  const context = { kind: 'method', name: 'pay' } as ClassMethodDecoratorContext;
  const decorated = WithLock('standard')(pay, context);
  expect([Reflect.getMetadata('route', decorated), decorated.length]).toEqual(['/pay', 1]);
});

test('E1: what is no method is refused by name', () => {
  const getter = { get: () => async () => {} } as TypedPropertyDescriptor<() => Promise<void>>;
  expect(() => WithLock('k')({}, 'bound', getter)).toThrow(
    expect.objectContaining({
      code: 'invalid-option',
      message: '@WithLock: "bound" is not a method; what makes a getter of it has to stand above',
    }),
  );
});
