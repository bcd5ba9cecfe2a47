import type { ServiceIdentifier } from 'inversify';
import type { Logger } from 'pino';
import type { Settings } from './settings.ts';

export const SETTINGS: ServiceIdentifier<Settings> = Symbol('Settings');
export const LOG: ServiceIdentifier<Logger> = Symbol('Log');
