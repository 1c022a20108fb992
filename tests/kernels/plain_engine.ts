/** What compensating stages ask of an engine, by plain loops: their dense graphs without ONNX Runtime. */
import type { Dense, Engine } from "../../core/engine/engine.ts";

export const plainEngine = {
  dense: async (name: string): Promise<Dense> => ({
    async run(inputs) {
      const [, kind, likeness] = name.match(/^(\w+)\.(?:(\w+)\.)?\d+$/)!;
      const keys = inputs.keys!.data as Float32Array, width = inputs.keys!.dims[1]!;
      const dot = (a: number, b: number) => {
        let sum = 0;
        for (let d = 0; d < width; d++) sum += keys[a * width + d]! * keys[b * width + d]!;
        return sum;
      };
      if (kind === "nearest") {
        const slots = inputs.slots!.data as Int32Array, centres = [...inputs.centres!.data as Int32Array];
        const distance = (slot: number, centre: number) => Math.fround(dot(centre, centre) - 2 * dot(slot, centre));
        const index = Int32Array.from(slots, (slot) => {
          const all = centres.map((centre) => distance(slot, centre));
          return all.indexOf(Math.min(...all));
        });
        return { index: { data: index, dims: [index.length] } };
      }
      const count = Number(inputs.count!.data[0]), m = Number(inputs.m!.data[0]);
      const dropped = inputs.dropped!.data as Int32Array, kept = (inputs.kept!.data as Int32Array).subarray(0, count);
      const length = (slot: number) => likeness === "product" ? width ** 0.25 : Math.sqrt(dot(slot, slot));
      const found = new Float32Array(dropped.length * m), index = new Int32Array(dropped.length * m);
      dropped.forEach((slot, i) => {
        const like = Array.from(kept, (other) => Math.fround(dot(slot, other) / (length(slot) * length(other) || 1)));
        const order = [...like.keys()].sort((a, b) => like[b]! - like[a]! || a - b).slice(0, m);
        found.set(order.map((j) => like[j]!), i * m);
        index.set(order, i * m);
      });
      return {
        likeness: { data: found, dims: [dropped.length, m] },
        index: { data: index, dims: [dropped.length, m] },
      };
    },
  }),
} as unknown as Engine;
