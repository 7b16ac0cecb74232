;; Takes the framing out of a run of plain chunks (RFC 9112, Section 7.1), in place. What does not begin
;; with CRLF, one to six hexadecimal digits and CRLF is left to the caller, and so is whatever comes
;; after it. `tests/project/build_wasm.ts` makes `BINARY` in `small_chunks.ts` of this.
;;
;; The memory: at 0 where to go on reading, and at 4 how many bytes of the chunk are left, both read and
;; written; at 8 the size of the chunk that was begun last, written only where one was begun; the bytes
;; from 16 on.
(module
  (memory (export "memory") 2)

  ;; Decodes what stands before `end` to 16 and up, but not to `to` or beyond; returns where it stopped.
  (func (export "decode") (param $end i32) (param $to i32) (result i32)
    (local $start i32) (local $left i32) (local $at i32) (local $count i32)
    (local $i i32) (local $stop i32) (local $size i32) (local $digit i32) (local $last v128)
    (local.set $start (i32.load (i32.const 0)))
    (local.set $left (i32.load (i32.const 4)))
    (local.set $at (i32.const 16))
    (block $done
      (loop $chunk
        ;; count = min(left, end - start, to - at)
        (local.set $count (local.get $left))
        (if (i32.gt_u (local.get $count) (i32.sub (local.get $end) (local.get $start)))
          (then (local.set $count (i32.sub (local.get $end) (local.get $start)))))
        (if (i32.gt_u (local.get $count) (i32.sub (local.get $to) (local.get $at)))
          (then (local.set $count (i32.sub (local.get $to) (local.get $at)))))

        ;; Moves `count` bytes down. What is read is never overwritten before, as a step writes nothing
        ;; beyond what it has read. The last 16 bytes are read first: a step may have written there.
        (local.set $i (i32.const 0))
        (if (i32.ge_u (local.get $count) (i32.const 16))
          (then
            (local.set $stop (i32.sub (local.get $count) (i32.const 16)))
            (local.set $last (v128.load (i32.add (local.get $start) (local.get $stop))))
            (loop $move
              (v128.store (i32.add (local.get $at) (local.get $i))
                (v128.load (i32.add (local.get $start) (local.get $i))))
              (local.set $i (i32.add (local.get $i) (i32.const 16)))
              (br_if $move (i32.lt_u (local.get $i) (local.get $stop))))
            (v128.store (i32.add (local.get $at) (local.get $stop)) (local.get $last)))
          (else
            (block $moved
              (loop $move
                (br_if $moved (i32.eq (local.get $i) (local.get $count)))
                (i32.store8 (i32.add (local.get $at) (local.get $i))
                  (i32.load8_u (i32.add (local.get $start) (local.get $i))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $move)))))
        (local.set $start (i32.add (local.get $start) (local.get $count)))
        (local.set $at (i32.add (local.get $at) (local.get $count)))
        (local.set $left (i32.sub (local.get $left) (local.get $count)))

        ;; The next size line: the longest one takes 10 bytes, and data or another line follows it.
        (br_if $done (local.get $left))
        (br_if $done (i32.eq (local.get $at) (local.get $to)))
        (br_if $done (i32.lt_u (i32.sub (local.get $end) (local.get $start)) (i32.const 12)))
        (br_if $done (i32.ne (i32.load16_u (local.get $start)) (i32.const 0x0a0d)))
        (local.set $size (i32.const 0))
        (local.set $i (i32.add (local.get $start) (i32.const 2)))
        (local.set $stop (i32.add (local.get $start) (i32.const 8)))
        (block $read
          (loop $next
            ;; 0 to 9, else a to f in either case.
            (local.set $digit (i32.sub (i32.load8_u (local.get $i)) (i32.const 48)))
            (if (i32.gt_u (local.get $digit) (i32.const 9))
              (then
                (local.set $digit
                  (i32.sub (i32.or (i32.load8_u (local.get $i)) (i32.const 32)) (i32.const 87)))
                (br_if $read (i32.lt_s (local.get $digit) (i32.const 10)))
                (br_if $read (i32.gt_s (local.get $digit) (i32.const 15)))))
            (local.set $size
              (i32.or (i32.shl (local.get $size) (i32.const 4)) (local.get $digit)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (local.get $stop)))))
        (br_if $done (i32.eqz (local.get $size)))
        (br_if $done (i32.ne (i32.load16_u (local.get $i)) (i32.const 0x0a0d)))
        (local.set $start (i32.add (local.get $i) (i32.const 2)))
        (local.set $left (local.get $size))
        (i32.store (i32.const 8) (local.get $size))
        (br $chunk)))
    (i32.store (i32.const 0) (local.get $start))
    (i32.store (i32.const 4) (local.get $left))
    (local.get $at)))
