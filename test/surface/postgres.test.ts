import { postgres } from 'holdfast/postgres';
import { inject } from 'vitest';
import { postgresUrl } from '../servers/postgres.ts';
import { surfaceRules } from './surface-rules.ts';

surfaceRules({
  name: 'Postgres',
  backend: () => postgres({ connectionString: postgresUrl(inject('postgresAddress')) }),
  ttl: 10_000,
  lockDelay: 0,
});
