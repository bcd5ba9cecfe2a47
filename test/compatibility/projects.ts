import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { npmInstall } from '../package/npm.ts';

const TYPESCRIPT = ['5.4', '5.9', '7'] as const;
export type TypeScriptVersion = (typeof TYPESCRIPT)[number];

/** Under which a project finds a compiler. */
export const compilerOf = (version: TypeScriptVersion): string => `typescript-${version.replace('.', '-')}`;

const compilers = TYPESCRIPT.map((version) => `${compilerOf(version)}@npm:typescript@${version}`);

/** What stands beside the library. The lowest of every peer stands in two, as inversify 7 and NestJS 10 refuse one another's `reflect-metadata`. */
const projects = {
  newest: [
    'etcd3',
    'consul',
    'pg',
    'inversify',
    'reflect-metadata',
    '@nestjs/common',
    '@nestjs/core',
    '@opentelemetry/api',
    '@types/node@20',
    ...compilers,
  ],
  lowest: [
    'etcd3@1.1.2',
    'consul@2.0.1',
    'pg@8.11.0',
    'inversify@7.0.0',
    'reflect-metadata@0.2.2',
    '@opentelemetry/api@1.9.0',
    '@types/node@20',
  ],
  nest: [
    'etcd3',
    'consul',
    '@nestjs/common@10.0.0',
    '@nestjs/core@10.0.0',
    'reflect-metadata@0.1.13',
    '@types/node@20',
  ],
  jest: [
    'etcd3',
    'consul',
    'jest@30',
    'jest-environment-jsdom@30',
    'babel-jest@30',
    '@babel/core@7',
    '@babel/preset-env@7',
    'ts-jest@29',
    'typescript@5.9',
    '@types/jest@30',
    '@types/node@20',
  ],
} satisfies Record<string, readonly string[]>;

export type ProjectName = keyof typeof projects;

/** Installs a project below a folder, as a user would: npm refuses what the library's ranges of its peers do not allow. */
export async function makeProject(name: ProjectName, place: string, tarball: string): Promise<string> {
  const folder = join(place, name);
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }));
  await npmInstall(folder, [tarball, ...projects[name]]);
  return folder;
}
