/* Convolution with the channels innermost, forward and both gradients, all by two kernels:

   - `correlate`: y[q,r,o] = bias[o] + sum over taps t and channels c of x[q*s + row_t, r*s + column_t, c] * w[t,c,o];
     the input gradient is of that kind too, a phase of the stride at a time;
   - `outer`: dw[t,c,o] = sum over all positions of x[q*s + row_t, r*s + column_t, c] * g[q,r,o].

   A band of rows of an image, or a few images, is copied with its border of zeros to where the second level of the cache
   holds it. Over it run tiles of pixels (or of channels, in `outer`) by one or two vectors of filters, whose sums stay
   in registers: for each vector of weights read there are as many products as the tile has pixels. Taps that are
   neighbours in memory are one longer tap. */

#define LANES ((int)(BYTES / sizeof(REAL)))
typedef REAL NAME(vector) __attribute__((vector_size(BYTES))); /* in registers, and where we lay memory out */
typedef REAL NAME(anywhere) __attribute__((vector_size(BYTES), aligned(sizeof(REAL))));
#define VECTOR NAME(vector)
#define ANYWHERE NAME(anywhere)
#define CACHE (384 * 1024 / (int64_t)sizeof(REAL)) /* numbers that a band may have */

typedef struct {
    int64_t row, column, weight; /* where it looks, relative to the window's corner, and which of the filter's it is */
} NAME(tap);

typedef struct {
    const REAL *x;                  /* (n, h, w, c) */
    int64_t n, h, w, c, groups, stride;
    int64_t q, r, o;                /* rows, columns and channels of the other side */
    int64_t taps;
    const NAME(tap) *tap;
    int64_t top, left, high, wide;  /* first row and column that a window touches, and the size of what all touch */
} NAME(task);

/* The taps' order and the room that windows need. */
static void NAME(measure)(NAME(task) *t) {
    int64_t bottom = -1, right = -1;
    t->top = t->left = INT64_MAX;
    bottom = right = INT64_MIN;
    for (int64_t k = 0; k < t->taps; k++) {
        t->top = MIN(t->top, t->tap[k].row);
        t->left = MIN(t->left, t->tap[k].column);
        bottom = MAX(bottom, t->tap[k].row);
        right = MAX(right, t->tap[k].column);
    }
    t->high = (t->q - 1) * t->stride + bottom - t->top + 1;
    t->wide = (t->r - 1) * t->stride + right - t->left + 1;
}

/* Rows [first, first + many) of what the windows touch of image `n`, zeros where that is outside. */
static void NAME(framed)(const NAME(task) *t, int64_t n, int64_t first, int64_t many, REAL *into) {
    const int64_t row = t->wide * t->c;
    const int64_t begin = MIN(MAX(0, -t->left), t->wide), end = MAX(begin, MIN(t->wide, t->w - t->left));
    for (int64_t i = 0; i < many; i++, into += row) {
        const int64_t from = t->top + first + i;
        if (from < 0 || from >= t->h) {
            memset(into, 0, row * sizeof(REAL));
            continue;
        }
        memset(into, 0, begin * t->c * sizeof(REAL));
        if (end > begin)
            memcpy(into + begin * t->c, t->x + ((n * t->h + from) * t->w + begin + t->left) * t->c,
                   (end - begin) * t->c * sizeof(REAL));
        memset(into + end * t->c, 0, (t->wide - end) * t->c * sizeof(REAL));
    }
}

/* Rows of the other side that a band has, and images where a whole one is small. */
static int64_t NAME(band)(const NAME(task) *t) {
    const int64_t row = t->wide * t->c * t->stride;
    return MAX(1, MIN(t->q, CACHE / MAX(1, row) - (t->high - (t->q - 1) * t->stride) / t->stride));
}

/* Runs of channels that are neighbours: `tap` k begins at runs[k].at and has `length` numbers. */
typedef struct {
    int64_t at, length;
} NAME(run);

static int64_t NAME(runs)(const NAME(task) *t, NAME(run) *found) {
    const int64_t each = t->c / t->groups;
    int64_t many = 0;
    for (int64_t k = 0; k < t->taps; k++) {
        const int64_t at = ((t->tap[k].row - t->top) * t->wide + t->tap[k].column - t->left) * t->c;
        if (many && t->groups == 1 && found[many - 1].at + found[many - 1].length == at) found[many - 1].length += each;
        else found[many++] = (NAME(run)){at, each};
    }
    return many;
}

/* A tile: `p` pixels by `v` vectors of filters, `lanes` of them real in the last. */
#define TILE(P, V)                                                                                                     \
    static void NAME(tile_##P##_##V)(const REAL *x, int64_t pixel, const NAME(run) *run, int64_t runs, const REAL *w,  \
                                     const VECTOR *bias, VECTOR *sums) {                                               \
        VECTOR s[P][V];                                                                                                \
        _Pragma("GCC unroll 16") for (int i = 0; i < P; i++)                                                           \
            _Pragma("GCC unroll 2") for (int j = 0; j < V; j++) s[i][j] = bias[j];                                     \
        for (int64_t k = 0; k < runs; k++) {                                                                           \
            const REAL *at = x + run[k].at;                                                                            \
            for (int64_t c = 0; c < run[k].length; c++, w += V * LANES) {                                              \
                VECTOR weight[V];                                                                                      \
                _Pragma("GCC unroll 2") for (int j = 0; j < V; j++) weight[j] = *(const ANYWHERE *)(w + j * LANES);    \
                _Pragma("GCC unroll 16") for (int i = 0; i < P; i++)                                                   \
                    _Pragma("GCC unroll 2") for (int j = 0; j < V; j++) s[i][j] += at[i * pixel + c] * weight[j];      \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("GCC unroll 16") for (int i = 0; i < P; i++)                                                           \
            _Pragma("GCC unroll 2") for (int j = 0; j < V; j++) sums[i * V + j] = s[i][j];                             \
    }
#define OUTER(P, V)                                                                                                    \
    static void NAME(outer_##P##_##V)(const REAL *x, int64_t row, int64_t pixel, const REAL *g, int64_t g_row,         \
                                      int64_t g_pixel, int64_t q, int64_t r, REAL *sums, int64_t pitch) {              \
        VECTOR s[P][V];                                                                                                \
        _Pragma("GCC unroll 16") for (int i = 0; i < P; i++)                                                           \
            _Pragma("GCC unroll 2") for (int j = 0; j < V; j++) s[i][j] = *(ANYWHERE *)(sums + i * pitch + j * LANES); \
        for (int64_t a = 0; a < q; a++) {                                                                              \
            const REAL *at = x + a * row, *with = g + a * g_row;                                                       \
            for (int64_t b = 0; b < r; b++, at += pixel, with += g_pixel) {                                            \
                VECTOR factor[V];                                                                                      \
                _Pragma("GCC unroll 2") for (int j = 0; j < V; j++) factor[j] = *(const ANYWHERE *)(with + j * LANES); \
                _Pragma("GCC unroll 16") for (int i = 0; i < P; i++)                                                   \
                    _Pragma("GCC unroll 2") for (int j = 0; j < V; j++) s[i][j] += at[i] * factor[j];                  \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("GCC unroll 16") for (int i = 0; i < P; i++)                                                           \
            _Pragma("GCC unroll 2") for (int j = 0; j < V; j++) *(ANYWHERE *)(sums + i * pitch + j * LANES) = s[i][j]; \
    }
#define BOTH(P, V) TILE(P, V) OUTER(P, V)
BOTH(1, 1) BOTH(2, 1) BOTH(3, 1) BOTH(4, 1) BOTH(5, 1) BOTH(6, 1) BOTH(7, 1) BOTH(8, 1) BOTH(9, 1) BOTH(10, 1)
BOTH(11, 1) BOTH(12, 1) BOTH(1, 2) BOTH(2, 2) BOTH(3, 2) BOTH(4, 2) BOTH(5, 2) BOTH(6, 2)
#define ONE(what, P) NAME(what##_##P##_1)
#define TWO(what, P) NAME(what##_##P##_2)
#if WIDE > 6
BOTH(13, 1) BOTH(14, 1) BOTH(15, 1) BOTH(16, 1)
BOTH(7, 2) BOTH(8, 2) BOTH(9, 2) BOTH(10, 2) BOTH(11, 2) BOTH(12, 2)
#define ALL_ONE(what)                                                                                                  \
    {ONE(what, 1), ONE(what, 2), ONE(what, 3), ONE(what, 4), ONE(what, 5), ONE(what, 6), ONE(what, 7), ONE(what, 8),   \
     ONE(what, 9), ONE(what, 10), ONE(what, 11), ONE(what, 12), ONE(what, 13), ONE(what, 14), ONE(what, 15),           \
     ONE(what, 16)}
#define ALL_TWO(what)                                                                                                  \
    {TWO(what, 1), TWO(what, 2), TWO(what, 3), TWO(what, 4), TWO(what, 5), TWO(what, 6), TWO(what, 7), TWO(what, 8),   \
     TWO(what, 9), TWO(what, 10), TWO(what, 11), TWO(what, 12)}
#else
#define ALL_ONE(what)                                                                                                  \
    {ONE(what, 1), ONE(what, 2), ONE(what, 3), ONE(what, 4), ONE(what, 5), ONE(what, 6), ONE(what, 7), ONE(what, 8),   \
     ONE(what, 9), ONE(what, 10), ONE(what, 11), ONE(what, 12)}
#define ALL_TWO(what) {TWO(what, 1), TWO(what, 2), TWO(what, 3), TWO(what, 4), TWO(what, 5), TWO(what, 6)}
#endif
typedef void (*NAME(tiling))(const REAL *, int64_t, const NAME(run) *, int64_t, const REAL *, const VECTOR *, VECTOR *);
typedef void (*NAME(outing))(const REAL *, int64_t, int64_t, const REAL *, int64_t, int64_t, int64_t, int64_t, REAL *,
                             int64_t);
static const NAME(tiling) NAME(tiles_one)[] = ALL_ONE(tile), NAME(tiles_two)[] = ALL_TWO(tile);
static const NAME(outing) NAME(outers_one)[] = ALL_ONE(outer), NAME(outers_two)[] = ALL_TWO(outer);

/* Length of the tiles that cut `count` things most evenly into as few as there must be of at most `most`. */
static int64_t NAME(tile_length)(int64_t count, int64_t most) {
    const int64_t pieces = (count + most - 1) / most;
    return (count + pieces - 1) / pieces;
}

/* Writes a tile's sums to where the output has its pixels. */
static void NAME(write_tile)(const VECTOR *sums, int64_t p, int v, int64_t filters, REAL *y, int64_t pixel) {
    for (int64_t i = 0; i < p; i++, y += pixel, sums += v) {
        if (filters == v * LANES)
            for (int j = 0; j < v; j++) *(ANYWHERE *)(y + j * LANES) = sums[j];
        else memcpy(y, sums, filters * sizeof(REAL));
    }
}

/* How many filters a block takes that begins at `o` of `all`: those of one or of two vectors. */
static int64_t NAME(block)(int64_t all, int64_t o) { return MIN(2 * LANES, all - o); }
static int64_t NAME(padded)(int64_t filters) { return (filters + LANES - 1) / LANES * LANES; }

/* Filters in the order in which tiles read them: for each group and block of filters, (taps, c, filters of the block).
   `s_o`, `s_c`, `s_t` are the strides of the weight's filters, of its channels and of its taps. */
static REAL *NAME(packed)(const NAME(task) *t, const REAL *w, int64_t s_g, int64_t s_o, int64_t s_c, int64_t s_t,
                          int threads) {
    const int64_t c = t->c / t->groups, o = t->o / t->groups, each = t->taps * c * NAME(padded)(o);
    REAL *found = malloc(MAX(1, t->groups * each) * sizeof(REAL));
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (int64_t g = 0; g < t->groups; g++)
        for (int64_t k = 0; k < t->taps; k++)
            for (int64_t begin = 0; begin < o; begin += 2 * LANES) {
                const int64_t many = NAME(block)(o, begin), room = NAME(padded)(many);
                REAL *to = found + g * each + t->taps * c * begin + k * c * room;
                const REAL *from = w + g * s_g + begin * s_o + t->tap[k].weight * s_t;
                for (int64_t i = 0; i < c; i++, to += room, from += s_c) {
                    for (int64_t j = 0; j < many; j++) to[j] = from[j * s_o];
                    for (int64_t j = many; j < room; j++) to[j] = 0;
                }
            }
    return found;
}

/* y at n, q, r is y + n*y_n + q*y_q + r*y_r, its channels innermost. */
static void NAME(correlate)(NAME(task) *t, const REAL *packed, const REAL *bias, REAL *y, int64_t y_n, int64_t y_q,
                            int64_t y_r, int threads) {
    NAME(measure)(t);
    const int64_t band = NAME(band)(t), bands = (t->q + band - 1) / band, row = t->wide * t->c;
    const int64_t together = bands > 1 ? 1 : MAX(1, MIN(CACHE / MAX(1, t->high * row), (t->n + threads - 1) / threads));
    const int64_t items = bands > 1 ? t->n * bands : (t->n + together - 1) / together;
    const int64_t c = t->c / t->groups, o = t->o / t->groups, each = t->taps * c * NAME(padded)(o);
    const int framed = t->top < 0 || t->left < 0 || t->top + t->high > t->h || t->left + t->wide > t->w;
#pragma omp parallel num_threads(threads)
    {
        NAME(run) *run = malloc(t->taps * sizeof(NAME(run)));
        const int64_t window = t->high - (t->q - 1) * t->stride, rows = (band - 1) * t->stride + window;
        REAL *room = framed ? malloc(together * rows * row * sizeof(REAL)) : 0;
        NAME(task) here = *t; /* unframed, rows have the image's width */
        if (!framed) here.wide = t->w;
        const int64_t pitch = here.wide * t->c, runs = NAME(runs)(&here, run);
#pragma omp for schedule(static)
        for (int64_t item = 0; item < items; item++) {
            const int64_t first_n = bands > 1 ? item / bands : item * together, q0 = bands > 1 ? item % bands * band : 0;
            const int64_t last_n = MIN(t->n, first_n + together), q1 = MIN(t->q, q0 + band);
            if (framed)
                for (int64_t n = first_n; n < last_n; n++)
                    NAME(framed)(t, n, q0 * t->stride, (q1 - q0 - 1) * t->stride + window,
                                 room + (n - first_n) * rows * row);
            for (int64_t g = 0; g < t->groups; g++)
                for (int64_t begin = 0; begin < o; begin += 2 * LANES) {
                    const int64_t many = NAME(block)(o, begin);
                    const int v = many > LANES ? 2 : 1;
                    const REAL *w = packed + g * each + t->taps * c * begin;
                    REAL start[2 * BYTES / sizeof(REAL)] __attribute__((aligned(BYTES))) = {0};
                    for (int64_t j = 0; bias && j < many; j++) start[j] = bias[g * o + begin + j];
                    const int64_t length = NAME(tile_length)(t->r, v == 2 ? WIDE : NARROW);
                    for (int64_t n = first_n; n < last_n; n++)
                        for (int64_t q = q0; q < q1; q++) {
                            const int64_t at = (n * t->h + t->top + q * t->stride) * t->w + t->left;
                            const REAL *x = framed ? room + ((n - first_n) * rows + (q - q0) * t->stride) * pitch
                                                   : t->x + at * t->c;
                            x += g * c;
                            REAL *out = y + n * y_n + q * y_q + g * o + begin;
                            for (int64_t r = 0; r < t->r; r += length) {
                                const int64_t p = MIN(length, t->r - r);
                                VECTOR sums[2 * NARROW];
                                const NAME(tiling) tile = v == 2 ? NAME(tiles_two)[p - 1] : NAME(tiles_one)[p - 1];
                                tile(x + r * t->stride * t->c, t->stride * t->c, run, runs, w, (VECTOR *)start, sums);
                                NAME(write_tile)(sums, p, v, many, out + r * y_r, y_r);
                            }
                        }
                }
        }
        free(room);
        free(run);
    }
}

/* Taps of a whole filter, its corner at (-up, -left): (kh, kw) rows by columns, `spread` apart. */
static NAME(tap) *NAME(all_taps)(int64_t kh, int64_t kw, int64_t up, int64_t left, int64_t spread_h, int64_t spread_w) {
    NAME(tap) *found = malloc(kh * kw * sizeof(NAME(tap)));
    for (int64_t a = 0; a < kh; a++)
        for (int64_t b = 0; b < kw; b++)
            found[a * kw + b] = (NAME(tap)){a * spread_h - up, b * spread_w - left, a * kw + b};
    return found;
}

/* Sizes of a convolution: input (n, h, w, c), output (n, q, r, o), weights (o, kh, kw, c / groups) all in that order. */
typedef struct {
    int64_t n, h, w, c, q, r, o, groups, kh, kw, stride, up, left, spread_h, spread_w;
} NAME(sizes);

void NAME(conv_forward)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const int64_t *size, int threads) {
    const NAME(sizes) *s = (const NAME(sizes) *)size;
    NAME(tap) *taps = NAME(all_taps)(s->kh, s->kw, s->up, s->left, s->spread_h, s->spread_w);
    NAME(task) t = {x, s->n, s->h, s->w, s->c, s->groups, s->stride, s->q, s->r, s->o, s->kh * s->kw, taps, 0, 0, 0, 0};
    const int64_t c = s->c / s->groups, filter = t.taps * c;
    REAL *packed = NAME(packed)(&t, w, s->o / s->groups * filter, filter, 1, c, threads);
    NAME(correlate)(&t, packed, bias, y, s->q * s->r * s->o, s->r * s->o, s->o, threads);
    free(packed);
    free(taps);
}

static int64_t NAME(modulo)(int64_t a, int64_t b) { return (a % b + b) % b; }

/* Where x was looked at in rows i, i + stride, i + 2 stride ... g is correlated with those taps that meet them; the rows
   that none meets stay 0, as `of_x` comes in. */
void NAME(conv_input_gradient)(const REAL *g, const REAL *w, REAL *of_x, const int64_t *size, int threads) {
    const NAME(sizes) *s = (const NAME(sizes) *)size;
    NAME(tap) *taps = malloc(s->kh * s->kw * sizeof(NAME(tap)));
    const int64_t c = s->c / s->groups, o = s->o / s->groups, all = s->kh * s->kw;
    for (int64_t i = 0; i < MIN(s->stride, s->h); i++)
        for (int64_t j = 0; j < MIN(s->stride, s->w); j++) {
            int64_t many = 0;
            for (int64_t a = s->kh - 1; a >= 0; a--)
                for (int64_t b = s->kw - 1; b >= 0; b--) {
                    const int64_t row = i + s->up - a * s->spread_h, column = j + s->left - b * s->spread_w;
                    if (NAME(modulo)(row, s->stride) == 0 && NAME(modulo)(column, s->stride) == 0)
                        taps[many++] = (NAME(tap)){row / s->stride, column / s->stride, a * s->kw + b};
                }
            if (many == 0) continue;
            const int64_t q = (s->h - i + s->stride - 1) / s->stride, r = (s->w - j + s->stride - 1) / s->stride;
            NAME(task) t = {g, s->n, s->q, s->r, s->o, s->groups, 1, q, r, s->c, many, taps, 0, 0, 0, 0};
            REAL *packed = NAME(packed)(&t, w, o * all * c, 1, all * c, c, threads);
            NAME(correlate)(&t, packed, 0, of_x + (i * s->w + j) * s->c, s->h * s->w * s->c, s->stride * s->w * s->c,
                            s->stride * s->c, threads);
            free(packed);
        }
    free(taps);
}

void NAME(conv_weight_gradient)(const REAL *g, const REAL *x, REAL *of_w, const int64_t *size, int threads) {
    const NAME(sizes) *s = (const NAME(sizes) *)size;
    NAME(tap) *taps = NAME(all_taps)(s->kh, s->kw, s->up, s->left, s->spread_h, s->spread_w);
    NAME(task) t = {x, s->n, s->h, s->w, s->c, s->groups, s->stride, s->q, s->r, s->o, s->kh * s->kw, taps, 0, 0, 0, 0};
    NAME(measure)(&t);
    const int64_t c = s->c / s->groups, o = s->o / s->groups, room_o = NAME(padded)(o), row = t.wide * t.c;
    const int64_t each = t.taps * c * room_o, band = NAME(band)(&t), bands = (t.q + band - 1) / band;
    const int64_t together = bands > 1 ? 1 : MAX(1, MIN(CACHE / MAX(1, t.high * row), (t.n + threads - 1) / threads));
    const int64_t items = bands > 1 ? t.n * bands : (t.n + together - 1) / together;
    const int64_t window = t.high - (t.q - 1) * t.stride, rows = (band - 1) * t.stride + window;
    const int64_t room_g = t.groups * room_o; /* the gradient's channels, each group's in whole vectors */
    const int copies = room_o != o;
    REAL *sums = calloc(threads * t.groups * each, sizeof(REAL));
#pragma omp parallel num_threads(threads)
    {
        NAME(run) *run = malloc(t.taps * sizeof(NAME(run)));
        REAL *room = malloc(together * rows * row * sizeof(REAL));
        REAL *grads = copies ? calloc(together * band * t.r * room_g, sizeof(REAL)) : 0;
        const int64_t runs = NAME(runs)(&t, run), pitch_g = copies ? room_g : t.o;
        REAL *mine = sums + omp_get_thread_num() * t.groups * each;
#pragma omp for schedule(static)
        for (int64_t item = 0; item < items; item++) {
            const int64_t first_n = bands > 1 ? item / bands : item * together, q0 = bands > 1 ? item % bands * band : 0;
            const int64_t last_n = MIN(t.n, first_n + together), q1 = MIN(t.q, q0 + band);
            for (int64_t n = first_n; n < last_n; n++) {
                NAME(framed)(&t, n, q0 * t.stride, (q1 - q0 - 1) * t.stride + window, room + (n - first_n) * rows * row);
                if (!copies) continue;
                for (int64_t p = 0; p < (q1 - q0) * t.r; p++)
                    for (int64_t k = 0; k < t.groups; k++)
                        memcpy(grads + ((n - first_n) * band * t.r + p) * room_g + k * room_o,
                               g + ((n * t.q + q0) * t.r + p) * t.o + k * o, o * sizeof(REAL));
            }
            for (int64_t k = 0; k < t.groups; k++)
                for (int64_t begin = 0; begin < room_o; begin += 2 * LANES) {
                    const int v = room_o - begin > LANES ? 2 : 1;
                    REAL *to = mine + k * each + begin;
                    for (int64_t i = 0; i < runs; i++) {
                        const int64_t length = NAME(tile_length)(run[i].length, v == 2 ? WIDE : NARROW);
                        for (int64_t at = 0; at < run[i].length; at += length) {
                            const int64_t p = MIN(length, run[i].length - at);
                            const NAME(outing) outer = v == 2 ? NAME(outers_two)[p - 1] : NAME(outers_one)[p - 1];
                            for (int64_t n = first_n; n < last_n; n++) {
                                const REAL *from = copies ? grads + (n - first_n) * band * t.r * room_g + k * room_o
                                                          : g + (n * t.q + q0) * t.r * t.o + k * o;
                                const REAL *corner = room + (n - first_n) * rows * row + run[i].at + k * c + at;
                                outer(corner, t.stride * row, t.stride * t.c, from + begin, t.r * pitch_g, pitch_g,
                                      q1 - q0, t.r, to + at * room_o, room_o);
                            }
                        }
                        to += run[i].length * room_o;
                    }
                }
        }
        free(run);
        free(room);
        free(grads);
    }
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (int64_t k = 0; k < t.groups; k++)
        for (int64_t i = 0; i < t.taps * c; i++)
            for (int64_t j = 0; j < o; j++) {
                REAL sum = 0;
                for (int m = 0; m < threads; m++) sum += sums[(m * t.groups + k) * each + i * room_o + j];
                of_w[(k * o + j) * t.taps * c + i] = sum;
            }
    free(sums);
    free(taps);
}
#undef LANES
#undef VECTOR
#undef ANYWHERE
#undef CACHE
#undef BOTH
#undef TILE
#undef OUTER
#undef ONE
#undef TWO
#undef ALL_ONE
#undef ALL_TWO
