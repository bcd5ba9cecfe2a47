export { LEADERSHIP_LOCK, type SyncModuleOptions, syncModule } from './sync-module.ts';
