/* The kernels of algorithm=native, for float and for double: docs/guide/speed.md explains blocking and roofline.

   Tensors are dense. A "channels last" tensor is (rows, channels) with the channels innermost. Threads split the work
   by their number alone and sums are added in the order of threads, so that the same call gives the same bits.  */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_thread_num(void) { return 0; }
static int omp_get_num_threads(void) { return 1; }
#endif

/* Bytes of a vector, and the tiles whose sums stay in registers: 32 of them with AVX-512 and NEON, 16 with AVX2. */
#if defined(__AVX512F__)
#define BYTES 64
#define WIDE 12
#define NARROW 16
#elif defined(__AVX__)
#define BYTES 32
#define WIDE 6
#define NARROW 12
#else
#define BYTES 16
#define WIDE 6
#define NARROW 12
#endif

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define JOIN(a, b) a##_##b
#define JOINED(a, b) JOIN(a, b)
#define NAME(name) JOINED(name, REAL)

/* The part of `count` things that falls to this thread, of all that there are: maybe fewer than were asked for. */
static void share(int64_t count, int64_t *first, int64_t *last) {
    const int64_t me = omp_get_thread_num(), team = omp_get_num_threads();
    *first = count * me / team;
    *last = count * (me + 1) / team;
}

#define REAL float
#include "norm.h"
#include "conv.h"
#include "winograd.h"
#undef REAL
#define REAL double
#include "norm.h"
#include "conv.h"
#include "winograd.h"

/* `steps` rounds of 24 products and sums in registers, for what a processor can do at most: 48 * BYTES / 4 operations a
   round. What comes out depends on all of them, so that none is left out. */
float peak(int64_t steps, int threads) {
    float total = 0;
#pragma omp parallel num_threads(threads) reduction(+ : total)
    {
        vector_float s[24], a, b;
        for (int j = 0; j < (int)(BYTES / 4); j++) a[j] = 0.999f, b[j] = 1e-6f * (j + 1);
        for (int i = 0; i < 24; i++) s[i] = b * (float)i;
        for (int64_t k = 0; k < steps; k++)
            _Pragma("GCC unroll 24") for (int i = 0; i < 24; i++) s[i] = s[i] * a + b;
        for (int i = 0; i < 24; i++) total += s[i][0];
    }
    return total;
}

int vector_bytes(void) { return BYTES; }
