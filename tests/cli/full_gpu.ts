/** A device whose memory is full from some moment on: `createBuffer` then reports what WebGPU reports, to the innermost scope that asks or to all. */
export interface FullGpu {
  /** From now on there is no memory left. */
  fill(): void;
}

export function filling(device: GPUDevice): FullGpu {
  const scopes: { filter: GPUErrorFilter; error: GPUError | null }[] = [];
  const create = device.createBuffer.bind(device);
  const push = device.pushErrorScope.bind(device), pop = device.popErrorScope.bind(device);
  let isFull = false, listener: ((event: GPUUncapturedErrorEvent) => void) | null = null;
  // bun-webgpu's has no getter
  Object.defineProperty(device, "onuncapturederror", {
    set(one: typeof listener) {
      listener = one;
      Reflect.set(Object.getPrototypeOf(device), "onuncapturederror", one, device);
    },
  });
  device.pushErrorScope = (filter) => {
    scopes.push({ filter, error: null });
    return push(filter);
  };
  device.popErrorScope = async () => {
    const { error } = scopes.pop()!;
    return await pop() ?? error;
  };
  device.createBuffer = (descriptor) => {
    if (isFull) {
      const error = { message: `Out of memory: ${descriptor.size} bytes` } as GPUError;
      const scope = scopes.findLast(({ filter }) => filter === "out-of-memory");
      if (scope) scope.error ??= error;
      else queueMicrotask(() => listener?.({ error, preventDefault() {} } as GPUUncapturedErrorEvent));
    }
    return create(descriptor);
  };
  return { fill: () => isFull = true };
}
