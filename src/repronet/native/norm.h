/* Batch normalisation with what follows it, y = max(0, (x - mean) * scale + beta + residual): one pass over memory for
   the statistics and one for the output, two for the gradients.

   Channels last, `many` pixels are taken for one of `many * c` channels, so that the inner loops are long enough for
   the vectors; what such a row leaves over is done at the end. */

#define INLINE static inline __attribute__((always_inline))

static int64_t NAME(pixels_a_row)(int64_t c) { return MAX(1, 256 / c); }

/* `values` (c,) repeated `many` times, 0 for NULL. */
static REAL *NAME(repeated)(const REAL *values, int64_t c, int64_t many) {
    REAL *found = malloc(c * many * sizeof(REAL));
    for (int64_t i = 0; i < c * many; i++) found[i] = values ? values[i % c] : 0;
    return found;
}

/* Joins mean and sum of squared distances `m2` of `count` numbers with those of `seen` others (Chan et al. 1983). */
static void NAME(join)(double *mean, double *m2, double *seen, double with_mean, double with_m2, double count) {
    if (count == 0) return;
    double apart = with_mean - *mean, weight = count / (*seen + count);
    *m2 += with_m2 + apart * apart * *seen * weight;
    *mean += apart * weight;
    *seen += count;
}

/* Adds a block of rows to mean and m2: two passes over what the cache holds, so that a large mean does not cancel. */
static void NAME(gather)(const REAL *x, int64_t rows, int64_t c, double seen, double *mean, double *m2, REAL *sum,
                         REAL *square) {
    memset(sum, 0, c * sizeof(REAL));
    memset(square, 0, c * sizeof(REAL));
    for (int64_t r = 0; r < rows; r++)
#pragma omp simd
        for (int64_t i = 0; i < c; i++) sum[i] += x[r * c + i];
    const REAL part = (REAL)1 / rows;
#pragma omp simd
    for (int64_t i = 0; i < c; i++) sum[i] *= part;
    for (int64_t r = 0; r < rows; r++)
#pragma omp simd
        for (int64_t i = 0; i < c; i++) square[i] += (x[r * c + i] - sum[i]) * (x[r * c + i] - sum[i]);
    const double weight = rows / (seen + rows), both = seen * weight;
#pragma omp simd
    for (int64_t i = 0; i < c; i++) {
        double apart = sum[i] - mean[i];
        m2[i] += square[i] + apart * apart * both;
        mean[i] += apart * weight;
    }
}

static void NAME(statistics_last)(const REAL *x, REAL *mean, REAL *variance, int64_t pixels, int64_t c, int threads) {
    const int64_t many = NAME(pixels_a_row)(c), rows = pixels / many, wide = c * many, block = MAX(8, 8192 / wide);
    double *found = calloc((size_t)threads * 2 * wide, sizeof(double));
    int64_t *counts = calloc(threads, sizeof(int64_t));
#pragma omp parallel num_threads(threads)
    {
        int64_t first, last;
        share(rows, &first, &last);
        counts[omp_get_thread_num()] = last - first;
        double *m = found + (size_t)omp_get_thread_num() * 2 * wide;
        REAL *room = malloc(2 * wide * sizeof(REAL));
        for (int64_t r = first; r < last; r += block)
            NAME(gather)(x + r * wide, MIN(block, last - r), wide, (double)(r - first), m, m + wide, room, room + wide);
        free(room);
    }
    for (int64_t i = 0; i < c; i++) {
        double seen = 0, m = 0, m2 = 0;
        for (int t = 0; t < threads; t++)
            for (int64_t k = i; k < wide; k += c) {
                const double *part = found + t * 2 * wide + k;
                NAME(join)(&m, &m2, &seen, part[0], part[wide], (double)counts[t]);
            }
        for (int64_t p = rows * many; p < pixels; p++) NAME(join)(&m, &m2, &seen, x[p * c + i], 0, 1);
        mean[i] = (REAL)m;
        variance[i] = (REAL)(m2 / pixels);
    }
    free(found);
    free(counts);
}

static void NAME(statistics_planes)(const REAL *x, REAL *mean, REAL *variance, int64_t n, int64_t c, int64_t l,
                                    int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < c; i++) {
        double seen = 0, m = 0, m2 = 0;
        for (int64_t k = 0; k < n; k++)
            for (int64_t begin = 0; begin < l; begin += 2048) {
                const REAL *p = x + (k * c + i) * l + begin;
                const int64_t many = MIN(2048, l - begin);
                REAL sum = 0, square = 0;
#pragma omp simd reduction(+ : sum)
                for (int64_t j = 0; j < many; j++) sum += p[j];
                sum /= many;
#pragma omp simd reduction(+ : square)
                for (int64_t j = 0; j < many; j++) square += (p[j] - sum) * (p[j] - sum);
                NAME(join)(&m, &m2, &seen, sum, square, many);
            }
        mean[i] = (REAL)m;
        variance[i] = (REAL)(m2 / (n * l));
    }
}

/* One row of the output, with one mean, scale and shift a channel or one for the plane. NaN stays NaN. */
INLINE void NAME(output_row)(const REAL *x, const REAL *residual, REAL *y, const REAL *mean, const REAL *scale,
                             const REAL *shift, int64_t many, const int plane, const int adds, const int relu) {
#pragma omp simd
    for (int64_t i = 0; i < many; i++) {
        const int64_t k = plane ? 0 : i;
        REAL v = (x[i] - mean[k]) * scale[k] + shift[k];
        if (adds) v += residual[i];
        y[i] = relu && v < 0 ? 0 : v;
    }
}

#define OUTPUT_ROW(many, k, plane)                                                                                     \
    do {                                                                                                               \
        const REAL *b = residual ? residual + at : 0, *m = mean_w + (k), *s = scale + (k), *t = shift + (k);           \
        if (residual && relu) NAME(output_row)(x + at, b, y + at, m, s, t, many, plane, 1, 1);                         \
        else if (residual) NAME(output_row)(x + at, b, y + at, m, s, t, many, plane, 1, 0);                            \
        else if (relu) NAME(output_row)(x + at, b, y + at, m, s, t, many, plane, 0, 1);                                \
        else NAME(output_row)(x + at, b, y + at, m, s, t, many, plane, 0, 0);                                          \
    } while (0)

/* mean and variance (c,): of the batch, found here, or read if they are `given`. */
void NAME(norm_forward)(const REAL *x, const REAL *residual, REAL *y, const REAL *gamma, const REAL *beta, REAL *mean,
                        REAL *variance, double eps, int64_t n, int64_t c, int64_t l, int last, int relu, int given,
                        int threads) {
    if (!given && last) NAME(statistics_last)(x, mean, variance, n * l, c, threads);
    if (!given && !last) NAME(statistics_planes)(x, mean, variance, n, c, l, threads);
    const int64_t many = last ? NAME(pixels_a_row)(c) : 1, wide = c * many;
    REAL *mean_w = NAME(repeated)(mean, c, many), *shift = NAME(repeated)(beta, c, many);
    REAL *scale = NAME(repeated)(gamma, c, many);
    for (int64_t i = 0; i < wide; i++) scale[i] = (REAL)((gamma ? scale[i] : 1) / sqrt(variance[i % c] + eps));
    if (last) {
        const int64_t rows = n * l / many;
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            const int64_t at = row * wide;
            OUTPUT_ROW(wide, 0, 0);
        }
        const int64_t at = rows * wide;
        OUTPUT_ROW(n * l * c - at, 0, 0);
    } else {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t row = 0; row < n * c; row++) {
            const int64_t at = row * l;
            OUTPUT_ROW(l, row % c, 1);
        }
    }
    free(mean_w);
    free(shift);
    free(scale);
}

/* One row of sums: of d, the gradient behind the ReLU, and of d * (x - mean). `masks`: y is looked at. */
INLINE void NAME(sums_row)(const REAL *g, const REAL *x, const REAL *y, REAL *kept, const REAL *mean, REAL *sum,
                           REAL *dot, int64_t many, const int masks, const int keeps) {
#pragma omp simd
    for (int64_t i = 0; i < many; i++) {
        REAL d = masks && y[i] <= 0 ? 0 : g[i];
        if (keeps) kept[i] = d;
        sum[i] += d;
        dot[i] += d * (x[i] - mean[i]);
    }
}

/* Sums over a piece of a plane of at most 2048. Compiled once, never inlined: two copies may add in different orders. */
static __attribute__((noinline)) void NAME(sums_piece)(const REAL *d, const REAL *x, REAL mean, double *sum,
                                                       double *dot, int64_t many) {
    REAL s = 0, t = 0;
#pragma omp simd reduction(+ : s, t)
    for (int64_t i = 0; i < many; i++) {
        s += d[i];
        t += d[i] * (x[i] - mean);
    }
    *sum += s;
    *dot += t;
}

static void NAME(sums_plane)(const REAL *g, const REAL *x, const REAL *y, REAL mean, double *sum, double *dot,
                             int64_t many) {
    REAL behind[2048];
    if (y)
#pragma omp simd
        for (int64_t i = 0; i < many; i++) behind[i] = y[i] <= 0 ? 0 : g[i];
    NAME(sums_piece)(y ? behind : g, x, mean, sum, dot, many);
}

INLINE void NAME(gradient_row)(const REAL *g, const REAL *x, const REAL *y, REAL *kept, REAL *of_x, const REAL *mean,
                               const REAL *scale, const REAL *slope, const REAL *level, int64_t many, const int plane,
                               const int masks, const int keeps) {
#pragma omp simd
    for (int64_t i = 0; i < many; i++) {
        const int64_t k = plane ? 0 : i;
        REAL d = masks && y[i] <= 0 ? 0 : g[i];
        if (keeps) kept[i] = d;
        of_x[i] = d * scale[k] + ((x[i] - mean[k]) * slope[k] + level[k]);
    }
}

#define SUMS_ROW(many)                                                                                                 \
    do {                                                                                                               \
        const REAL *side = y ? y + at : 0;                                                                             \
        REAL *kept = of_residual ? of_residual + at : 0;                                                               \
        if (y && kept) NAME(sums_row)(g + at, x + at, side, kept, mean_w, sum, dot, many, 1, 1);                       \
        else if (y) NAME(sums_row)(g + at, x + at, side, kept, mean_w, sum, dot, many, 1, 0);                          \
        else NAME(sums_row)(g + at, x + at, side, kept, mean_w, sum, dot, many, 0, 0);                                 \
    } while (0)

#define GRADIENT_ROW(many, k, plane)                                                                                   \
    do {                                                                                                               \
        const REAL *side = y ? y + at : 0, *m = mean_w + (k), *s = scale + (k), *t = slope + (k), *u = level + (k);    \
        REAL *kept = of_residual ? of_residual + at : 0, *out = of_x + at;                                             \
        if (plane && y && kept) NAME(gradient_row)(g + at, x + at, side, kept, out, m, s, t, u, many, plane, 1, 1);    \
        else if (kept) NAME(gradient_row)(kept, x + at, side, kept, out, m, s, t, u, many, plane, 0, 0);               \
        else if (y) NAME(gradient_row)(g + at, x + at, side, kept, out, m, s, t, u, many, plane, 1, 0);                \
        else NAME(gradient_row)(g + at, x + at, side, kept, out, m, s, t, u, many, plane, 0, 0);                       \
    } while (0)

/* Gradients by x, gamma and beta. `y` is what the forward gave where it ended in a ReLU, else NULL. `of_residual`, if
   not NULL, receives the gradient of what was added, which is g behind the ReLU; it needs `y`. */
void NAME(norm_backward)(const REAL *g, const REAL *x, const REAL *y, const REAL *mean, const REAL *variance,
                         const REAL *gamma, REAL *of_x, REAL *of_residual, REAL *of_gamma, REAL *of_beta, double eps,
                         int64_t n, int64_t c, int64_t l, int last, int threads) {
    const int64_t many = last ? NAME(pixels_a_row)(c) : 1, wide = c * many, rows = last ? n * l / many : 0;
    double *found = calloc((size_t)(threads + 1) * 2 * wide, sizeof(double));
    REAL *mean_w = NAME(repeated)(mean, c, many);
#pragma omp parallel num_threads(threads)
    {
        int64_t first, end;
        share(last ? rows : c, &first, &end);
        if (last) {
            double *total = found + (size_t)omp_get_thread_num() * 2 * wide;
            REAL *sum = malloc(2 * wide * sizeof(REAL)), *dot = sum + wide;
            for (int64_t begin = first; begin < end; begin += 32) {
                memset(sum, 0, 2 * wide * sizeof(REAL));
                for (int64_t r = begin; r < MIN(end, begin + 32); r++) {
                    const int64_t at = r * wide;
                    SUMS_ROW(wide);
                }
                for (int64_t i = 0; i < 2 * wide; i++) total[i] += sum[i];
            }
            free(sum);
        }
        for (int64_t i = first; i < end && !last; i++)
            for (int64_t k = 0; k < n; k++)
                for (int64_t begin = 0; begin < l; begin += 2048) {
                    const int64_t at = (k * c + i) * l + begin, some = MIN(2048, l - begin);
                    NAME(sums_plane)(g + at, x + at, y ? y + at : 0, mean[i], found + i, found + c + i, some);
                }
    }
    if (last && rows * many < n * l) { /* what the rows left over, as one that is cut short */
        const int64_t at = rows * wide;
        REAL *sum = calloc(2 * wide, sizeof(REAL)), *dot = sum + wide;
        SUMS_ROW(n * l * c - at);
        for (int64_t i = 0; i < 2 * wide; i++) found[threads * 2 * wide + i] = sum[i];
        free(sum);
    }
    REAL *scale = malloc(3 * wide * sizeof(REAL)), *slope = scale + wide, *level = slope + wide;
    for (int64_t i = 0; i < c; i++) {
        double sum = 0, dot = 0, deviation = 1 / sqrt(variance[i] + eps);
        for (int t = 0; t <= threads; t++)
            for (int64_t k = i; k < wide; k += c) {
                sum += found[t * 2 * wide + k];
                dot += found[t * 2 * wide + wide + k];
            }
        const double factor = (gamma ? gamma[i] : 1) * deviation, count = (double)(n * l);
        for (int64_t k = i; k < wide; k += c) {
            scale[k] = (REAL)factor;
            slope[k] = (REAL)(-factor * deviation * deviation * dot / count);
            level[k] = (REAL)(-factor * sum / count);
        }
        of_gamma[i] = (REAL)(dot * deviation);
        of_beta[i] = (REAL)sum;
    }
    if (last) {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            const int64_t at = row * wide;
            GRADIENT_ROW(wide, 0, 0);
        }
        const int64_t at = rows * wide;
        GRADIENT_ROW(n * l * c - at, 0, 0);
    } else {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t row = 0; row < n * c; row++) {
            const int64_t at = row * l;
            GRADIENT_ROW(l, row % c, 1);
        }
    }
    free(scale);
    free(mean_w);
    free(found);
}
#undef OUTPUT_ROW
#undef SUMS_ROW
#undef GRADIENT_ROW
#undef INLINE
