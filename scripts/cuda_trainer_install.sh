# Read by scripts/build_gpu_trainer.sh, which has checked the machine: the build, the installation and the trial of the trainer with CUDA.

# The program looks for libraries in its own folder, then with torch, then in the toolkit.
build_trainer() {
  build=$root/build/gpu-trainer
  mkdir -p "$build"
  local log=$build/configure.log rpath="\$ORIGIN/$name.libs;$torch_libraries" folder
  for folder in "$cuda/lib64" "$cuda/targets/$(uname -m)-linux/lib"; do [ ! -d "$folder" ] || rpath+=";$folder"; done
  configure_trainer "$build" "$log" "$architectures" "$torch" -G "$generator" -DCOPPICE_TESTS=OFF -DCMAKE_CXX_COMPILER="$cxx" \
    -DCMAKE_CUDA_HOST_COMPILER="$cxx" -DCUDAToolkit_ROOT="$cuda" -DCUDA_TOOLKIT_ROOT_DIR="$cuda" \
    -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON -DCMAKE_INSTALL_RPATH="$rpath" ||
    { tail -20 "$log" >&2; fail "The configuration failed; the lines above and $log say why."; }
  echo "build_gpu_trainer: building; a few minutes"
  log=$build/build.log
  cmake --build "$build" --target coppice-trainer --parallel "$(nproc)" >"$log" 2>&1 ||
    { grep -A5 -E 'error|FAILED' "$log" | head -40 >&2; fail "The build failed; the lines above and $log say why."; }
}

# Copies the collected libraries that FILE needs, and those that they need.
copy_libraries() {
  local needed
  for needed in $(readelf -d "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'); do
    [ -n "$libraries" ] && [ -e "$libraries/$needed" ] && [ ! -e "$2/$needed" ] || continue
    cp -L "$libraries/$needed" "$2/$needed"
    copy_libraries "$2/$needed" "$2"
  done
}

# Each file is put into place whole, also while a trainer runs.
install_trainer() {
  local made=$scratch/libs file missing
  mkdir -p "$made" "$out/$name.libs" || fail "$out cannot be written."
  out=$(cd "$out" && pwd)
  copy_libraries "$build/bin/coppice-trainer" "$made"
  : >"$made/${mark##*/}"
  for file in "$made"/*; do
    cp "$file" "$out/$name.libs/.new" && mv -f "$out/$name.libs/.new" "$out/$name.libs/${file##*/}" || fail "$out cannot be written."
  done
  cp "$build/bin/coppice-trainer" "$out/.$name.new" && mv -f "$out/.$name.new" "$out/$name" || fail "$out cannot be written."
  missing=$(ldd "$out/$name" 2>&1 | sed -n 's/^[[:space:]]*\(.*\) => not found.*/\1/p; /version .* not found/p' | sort -u | paste -sd" ") || true
  [ -z "$missing" ] || fail "$out/$name does not start here, for want of $missing. Torch or the CUDA toolkit brings that along: are both whole?"
  file=$("$out/$name" --version 2>&1) || fail "$out/$name does not start here; it says: $file"
  echo "build_gpu_trainer: $out/$name is $file"
}

# Exit codes 3 and 4 of the script.
try_trainer() {
  local answer problem status=0
  local run=(--task question --depth 2 --seeds 0-1 --steps 60 --d-model 64 --heads 4 --d-ff 128 --train-size 300 --val-size 40 --test-size 10 --gen-size 40
    --report-every 30 --warmup-steps 10 --checkpoint-every 60 --out "$scratch/run" --device cuda)
  answer=$(timeout -k 5 120 "$out/$name" devices 2>&1) || {
    echo "build_gpu_trainer: \`$out/$name devices\` failed; it says: $answer" >&2
    exit 4
  }
  problem=$(sed -n 's/.*"problem":"\(.*\)"}$/\1/p' <<<"$answer")
  if [ -n "$problem" ]; then
    echo "build_gpu_trainer: not tried on a GPU: $problem" >&2
    case $answer in *'"cuda":true'*) exit 3 ;; *) exit 4 ;; esac
  fi
  timeout -k 5 300 "$out/$name" "${run[@]}" >"$scratch/events" 2>"$scratch/run.log" || status=$?
  if [ "$status" -ne 0 ] || [ "$(grep -c '"event":"done"' "$scratch/events")" -ne 2 ] || ! grep -q '"device":"cuda:' "$scratch/events"; then
    { grep '"event":"failed"' "$scratch/events" | head -2; tail -5 "$scratch/run.log"; } >&2 || true
    echo "build_gpu_trainer: the trainer does not train on the GPU here (exit code $status); the lines above say why" >&2
    exit 4
  fi
  echo "build_gpu_trainer: trained two members for 60 steps on $(sed -n 's/.*"device":"\([^"]*\)".*/\1/p' "$scratch/events" | head -1)"
}
