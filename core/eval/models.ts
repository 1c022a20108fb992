/** A measurement's models: one session per set of graph features, opened when it is first needed. */
import type { EngineModel } from "../model.ts";
import { parsePolicy } from "../policies.ts";
import { featuresFor } from "../policy.ts";
import type { ModelFor } from "./measure.ts";

export interface Models {
  for: ModelFor;
  close(): Promise<void>;
}

/** @param open opens the model for a policy. A graph that gives more than is asked for is not reused: it would cost more than the policy does. */
export function modelsFrom(open: (policy: string) => Promise<EngineModel>): Models {
  const opened = new Map<string, EngineModel>();
  return {
    async for(policy) {
      const key = JSON.stringify(featuresFor(parsePolicy(policy)));
      let model = opened.get(key);
      if (!model) opened.set(key, model = await open(policy));
      return model;
    },
    async close() {
      for (const model of opened.values()) await model.close();
    },
  };
}
