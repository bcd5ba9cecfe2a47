// Run as a process: a Nest application that leads, and is ended by a signal.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { leadershipLock } from 'holdfast';
import { etcd } from 'holdfast/etcd';
import { SyncModule } from 'holdfast/nestjs';

const [address = '', name = ''] = process.argv.slice(2);

@Module({ imports: [SyncModule.forRoot({ name, backend: etcd({ hosts: address }) })] })
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
app.enableShutdownHooks(['SIGTERM']);
await leadershipLock().lock();
setInterval(() => {}, 1_000);
console.log('leads');
