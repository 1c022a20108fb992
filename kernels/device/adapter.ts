/** What an adapter is: its name, whether a chip stands behind it, and what can be asked of it. */

/**
 * `hardware`: a GPU. `software`: a CPU that plays one, exact but slower than the CPU device. `null`: Dawn's null backend, which bun-webgpu gives
 * without a word where there is no driver; it runs everything, reports no error and reads back zeros.
 */
export type AdapterKind = "hardware" | "software" | "null";

/** What ONNX Runtime uses of an adapter, where it is there. */
export const WANTED_FEATURES = ["shader-f16", "subgroups", "timestamp-query"] as const;
export type WantedFeature = (typeof WANTED_FEATURES)[number];

export interface AdapterFacts {
  name: string;
  vendor: string;
  kind: AdapterKind;
  /** Those of `WANTED_FEATURES` that it has. */
  features: WantedFeature[];
  /** Every limit of the kind "at most", by its WebGPU name. */
  limits: Record<string, number>;
}

/** Adapter names of CPUs that play a GPU. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|software/i;
/**
 * ONNX Runtime 1.30's attention over 32 rows and more is silently wrong in subgroups of 4 (SwiftShader): all rows but the first four. Without the feature it
 * takes another way, which is right.
 */
const LEAST_SUBGROUP = 8;
/** Dawn's own numbers, which bun-webgpu passes on. */
const DAWN_NULL_BACKEND = 1, DAWN_CPU_ADAPTER = 3;

/** Reads an adapter's facts off it. `isFallbackAdapter` of the adapter itself is left alone: bun-webgpu's getter writes to stderr and throws. */
export function describeAdapter(adapter: GPUAdapter): AdapterFacts {
  const info = adapter.info as GPUAdapterInfo & {
    backendType?: number;
    adapterType?: number;
    isFallbackAdapter?: boolean;
  };
  const words = [info.vendor, info.architecture, info.device, info.description].map((word) => word ?? "");
  const kind = info.device === "null-backend" || info.backendType === DAWN_NULL_BACKEND
    ? "null"
    : info.isFallbackAdapter || info.adapterType === DAWN_CPU_ADAPTER || words.some((word) => SOFTWARE.test(word))
    ? "software"
    : "hardware";
  return {
    name: info.description || info.device || info.architecture || "unnamed adapter",
    vendor: info.vendor ?? "",
    kind,
    features: WANTED_FEATURES.filter((feature) =>
      adapter.features.has(feature) && (feature !== "subgroups" || (info.subgroupMinSize ?? 0) >= LEAST_SUBGROUP)
    ),
    limits: adapterLimits(adapter.limits),
  };
}

/**
 * All limits at the adapter's maximum. All, as those left out get WebGPU's defaults, and ONNX Runtime's fused kernels break on these ("Too many storage
 * buffers"); some runtimes give BigInts.
 */
function adapterLimits(limits: GPUSupportedLimits): Record<string, number> {
  const found: Record<string, number> = {};
  for (const name in limits) {
    const value = Number(limits[name as keyof GPUSupportedLimits]);
    if (name.startsWith("max") && Number.isFinite(value)) found[name] = value;
  }
  return found;
}

/** Tells adapters apart: those of one vendor and name are the same. */
export function adapterKey(adapter: GPUAdapter): string {
  const { name, vendor } = describeAdapter(adapter);
  return `${vendor} ${name}`;
}
