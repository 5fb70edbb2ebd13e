// What the service counts, in Prometheus's text form.
import {Counter, collectDefaultMetrics, Gauge, Histogram, Registry} from 'prom-client';
import type {Description} from './network.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** @param busy Read whenever the metrics are. */
export function createMetrics(
  {kernels, backend, simd = '', threads}: Description,
  busy: {places(): number; waiting(): number},
) {
  const registers = [new Registry()];
  collectDefaultMetrics({register: registers[0]});
  new Gauge({
    registers,
    name: 'upscale_info',
    help: 'Who computes.',
    labelNames: ['kernels', 'backend', 'simd', 'threads'],
  }).set({kernels, backend, simd, threads: threads ?? ''}, 1);
  new Gauge({
    registers,
    name: 'upscale_places_taken',
    help: 'Requests that are being received, wait or are being computed.',
    collect() {
      this.set(busy.places());
    },
  });
  new Gauge({
    registers,
    name: 'upscale_waiting',
    help: 'Pictures that wait for a worker.',
    collect() {
      this.set(busy.waiting());
    },
  });
  return {
    registry: registers[0],
    requests: new Histogram({
      registers,
      name: 'http_request_duration_seconds',
      help: 'From the first byte of a request to the last of its answer.',
      labelNames: ['route', 'status'],
      buckets: SECONDS,
    }),
    stages: new Histogram({
      registers,
      name: 'upscale_stage_seconds',
      help: 'What a picture takes, stage by stage.',
      labelNames: ['stage'],
      buckets: SECONDS,
    }),
    workersReplaced: new Counter({
      registers,
      name: 'upscale_workers_replaced_total',
      help: 'Workers that failed or took too long.',
    }),
  };
}
