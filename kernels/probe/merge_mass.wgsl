// mass[h, slot] = mass + share * (other - mass), or the larger of both (LARGER), for the `newest` last slots of start <= slot < end.
// mass, other [all heads, stride]; start, end [all heads]. A thread is a slot; workgroups: y over heads.
struct Params { heads: u32, stride: u32, newest: u32, share: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> other: array<f32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> mass: array<f32>;

override THREADS: u32;
override LARGER: bool;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  let last = end[head];
  let slot = last - min(params.newest, last - start[head]) + id.x;
  if (slot >= last) { return; }
  let at = head * params.stride + slot;
  let mine = mass[at];
  let theirs = other[at];
  if (LARGER) {
    mass[at] = max(mine, theirs);
  } else {
    mass[at] = mine + (theirs - mine) * params.share;
  }
}
