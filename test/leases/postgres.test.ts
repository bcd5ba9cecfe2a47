import { postgres } from 'holdfast/postgres';
import { inject } from 'vitest';
import { postgresUrl } from '../servers/postgres.ts';
import { leaseRules } from './lease-rules.ts';

leaseRules({
  name: 'Postgres',
  backend: () => postgres({ connectionString: postgresUrl(inject('postgresAddress')) }),
  ttl: 10_000,
  lockDelay: 0,
});
