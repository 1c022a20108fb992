// mass[h, s] = exp(bias of slot s), 1 without biases (WIDE false): every token weighs the same, and a slot as many as it stands for.
// keys [heads, stride, WIDTH], the bias in column D; start, end (live slots: start <= slot < end), mass [all heads, stride]. A thread is a slot.
struct Params { heads: u32, firstHead: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<stored>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> mass: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override D: u32;
override WIDE: bool;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = params.firstHead + id.y;
  if (id.x < start[head] || id.x >= end[head]) { return; }
  var own = 1.0;
  if (WIDE) { own = exp(f32(keys[(id.y * params.stride + id.x) * WIDTH + D])); }
  mass[head * params.stride + id.x] = own;
}
