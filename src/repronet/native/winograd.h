/* Convolution with filters of 3 x 3 and stride 1 in tiles of 4 x 4 outputs, F(4x4, 3x3): 36 products where there are
   144, and sums of what the tiles and filters are transformed to (Lavin and Gray 2016, section 4.2). Forward; the input
   gradient, which is the same with filters turned round; and the weight gradient, whose transforms are the transposes
   of the forward's: dw = G'[sum over tiles of (B'x B) * (A dy A')]G. Channels and filters come in whole vectors.

   Some images, or a band of tiles of one, are transformed, multiplied and transformed back while the cache has them. */

#define LANES ((int)(BYTES / sizeof(REAL)))
#define VECTOR NAME(vector)
#define ANYWHERE NAME(anywhere)
#define INLINE static inline __attribute__((always_inline))
#define TILES 96 /* so many are done together, at least: each transformed filter is read once for them all */

INLINE void NAME(to_spectrum)(const VECTOR d[6], VECTOR t[6]) {
    const VECTOR a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], e = d[4] - d[2], f = 2 * (d[3] - d[1]);
    t[0] = 4 * d[0] - 5 * d[2] + d[4];
    t[1] = a + b;
    t[2] = a - b;
    t[3] = e + f;
    t[4] = e - f;
    t[5] = 4 * d[1] - 5 * d[3] + d[5];
}

INLINE void NAME(from_spectrum)(const VECTOR m[6], VECTOR y[4]) {
    const VECTOR a = m[1] + m[2], b = m[1] - m[2], e = m[3] + m[4], f = m[3] - m[4];
    y[0] = m[0] + a + e;
    y[1] = b + 2 * f;
    y[2] = a + 4 * e;
    y[3] = b + 8 * f + m[5];
}

INLINE void NAME(filter_spectrum)(const VECTOR g[3], VECTOR u[6]) {
    const VECTOR a = (g[0] + g[2]) * (REAL)(-1.0 / 6), b = g[1] * (REAL)(1.0 / 6);
    const VECTOR e = g[0] * (REAL)(1.0 / 24) + g[2] * (REAL)(1.0 / 6), f = g[1] * (REAL)(1.0 / 12);
    u[0] = g[0] * (REAL)0.25;
    u[1] = a - b;
    u[2] = a + b;
    u[3] = e + f;
    u[4] = e - f;
    u[5] = g[2];
}

/* (36, blocks of two vectors of filters, c, filters of the block). `turned`: the filters go from o to c, turned. */
static REAL *NAME(filter_spectra)(const REAL *w, int64_t c, int64_t o, int turned, int threads) {
    REAL *found = aligned_alloc(BYTES, 36 * c * o * sizeof(REAL));
    const int64_t s_o = turned ? 1 : 9 * c, s_c = turned ? 9 * o : 1, s_t = turned ? o : c;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t begin = 0; begin < o; begin += LANES) {
        const int64_t block = begin / (2 * LANES) * (2 * LANES), room = MIN(2 * LANES, o - block);
        for (int64_t i = 0; i < c; i++) {
            VECTOR g[3][3], half[6][3], u[6];
            for (int k = 0; k < 9; k++)
                for (int j = 0; j < LANES; j++)
                    g[k / 3][k % 3][j] = w[(begin + j) * s_o + i * s_c + (turned ? 8 - k : k) * s_t];
            for (int b = 0; b < 3; b++) {
                const VECTOR column[3] = {g[0][b], g[1][b], g[2][b]};
                NAME(filter_spectrum)(column, u);
                for (int a = 0; a < 6; a++) half[a][b] = u[a];
            }
            for (int a = 0; a < 6; a++) {
                NAME(filter_spectrum)(half[a], u);
                for (int b = 0; b < 6; b++)
                    *(VECTOR *)(found + ((a * 6 + b) * o + block) * c + i * room + begin - block) = u[b];
            }
        }
    }
    return found;
}

static void NAME(tile_spectra)(const REAL *x, int64_t pitch, int64_t c, int64_t all, REAL *to) {
    for (int64_t i = 0; i < c; i += LANES) {
        VECTOR half[6][6], d[6], t[6];
        for (int b = 0; b < 6; b++) {
            for (int a = 0; a < 6; a++) d[a] = *(const ANYWHERE *)(x + a * pitch + b * c + i);
            NAME(to_spectrum)(d, t);
            for (int a = 0; a < 6; a++) half[a][b] = t[a];
        }
        for (int a = 0; a < 6; a++) {
            NAME(to_spectrum)(half[a], t);
            for (int b = 0; b < 6; b++) *(VECTOR *)(to + (a * 6 + b) * all * c + i) = t[b];
        }
    }
}

static void NAME(tile_outputs)(const REAL *m, int64_t all, int64_t o, const REAL *bias, REAL *y, int64_t y_q,
                               int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < o; i += LANES) {
        VECTOR half[4][6], s[6], found[4], start = {0};
        if (bias) start = *(const ANYWHERE *)(bias + i);
        for (int b = 0; b < 6; b++) {
            for (int a = 0; a < 6; a++) s[a] = *(const VECTOR *)(m + (a * 6 + b) * all * o + i);
            NAME(from_spectrum)(s, found);
            for (int a = 0; a < 4; a++) half[a][b] = found[a];
        }
        for (int a = 0; a < rows; a++) {
            NAME(from_spectrum)(half[a], found);
            for (int b = 0; b < columns; b++) *(ANYWHERE *)(y + a * y_q + b * o + i) = found[b] + start;
        }
    }
}

/* x (n, h, w, c) → y (n, q, r, o), the window's first corner at (-up, -left). */
static void NAME(winograd)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, int64_t n, int64_t h, int64_t width,
                           int64_t c, int64_t q, int64_t r, int64_t o, int64_t up, int64_t left, int turned,
                           int threads) {
    const int64_t down = (q + 3) / 4, across = (r + 3) / 4;
    const int64_t most = MAX(TILES, (int64_t)(1 << 20) / (36 * (c + o))); /* tiles that the cache has room for */
    const int64_t band = MAX(1, MIN(down, most / across)), bands = (down + band - 1) / band;
    const int64_t some = (n + threads - 1) / threads;
    const int64_t together = bands > 1 ? 1 : MAX(1, MIN(some, most / (down * across)));
    const int64_t items = bands > 1 ? n * bands : (n + together - 1) / together;
    const int64_t all = together * band * across, rows = band * 4 + 2, pitch = (across * 4 + 2) * c;
    NAME(task) t = {x, n, h, width, c, 1, 1, 0, 0, o, 0, 0, -up, -left, down * 4 + 2, across * 4 + 2};
    REAL *spectra = NAME(filter_spectra)(w, c, o, turned, threads);
#pragma omp parallel num_threads(threads)
    {
        REAL *room = malloc(rows * pitch * sizeof(REAL));
        REAL *v = aligned_alloc(BYTES, 36 * all * c * sizeof(REAL));
        REAL *m = aligned_alloc(BYTES, 36 * all * o * sizeof(REAL));
#pragma omp for schedule(static)
        for (int64_t item = 0; item < items; item++) {
            const int64_t first_n = bands > 1 ? item / bands : item * together, d0 = bands > 1 ? item % bands * band : 0;
            const int64_t last_n = MIN(n, first_n + together), d1 = MIN(down, d0 + band);
            int64_t many = 0;
            for (int64_t k = first_n; k < last_n; k++) {
                NAME(framed)(&t, k, d0 * 4, (d1 - d0) * 4 + 2, room);
                for (int64_t a = 0; a < d1 - d0; a++)
                    for (int64_t b = 0; b < across; b++, many++)
                        NAME(tile_spectra)(room + a * 4 * pitch + b * 4 * c, pitch, c, all, v + many * c);
            }
            const NAME(run) run = {0, c};
            const VECTOR zero[2] = {{0}, {0}};
            for (int k = 0; k < 36; k++)
                for (int64_t begin = 0; begin < o; begin += 2 * LANES) {
                    const int64_t filters = NAME(block)(o, begin);
                    const int two = filters > LANES;
                    const int64_t length = NAME(tile_length)(many, two ? WIDE : NARROW);
                    for (int64_t at = 0; at < many; at += length) {
                        const int64_t p = MIN(length, many - at);
                        const NAME(tiling) tile = two ? NAME(tiles_two)[p - 1] : NAME(tiles_one)[p - 1];
                        VECTOR sums[2 * NARROW];
                        tile(v + (k * all + at) * c, c, &run, 1, spectra + (k * o + begin) * c, zero, sums);
                        NAME(write_tile)(sums, p, two + 1, filters, m + (k * all + at) * o + begin, o);
                    }
                }
            many = 0;
            for (int64_t k = first_n; k < last_n; k++)
                for (int64_t a = d0; a < d1; a++)
                    for (int64_t b = 0; b < across; b++, many++)
                        NAME(tile_outputs)(m + many * o, all, o, bias, y + ((k * q + a * 4) * r + b * 4) * o, r * o,
                                           MIN(4, q - a * 4), MIN(4, r - b * 4));
        }
        free(room);
        free(v);
        free(m);
    }
    free(spectra);
}

INLINE void NAME(gradient_spectrum)(const VECTOR y[4], VECTOR m[6]) {
    const VECTOR a = y[0] + y[2], b = y[1] + y[3], e = y[0] + 4 * y[2], f = 2 * y[1] + 8 * y[3];
    m[0] = y[0];
    m[1] = a + b;
    m[2] = a - b;
    m[3] = e + f;
    m[4] = e - f;
    m[5] = y[3];
}

INLINE void NAME(filter_gradient)(const VECTOR u[6], VECTOR w[3]) {
    const VECTOR a = (u[1] + u[2]) * (REAL)(1.0 / 6), b = (u[2] - u[1]) * (REAL)(1.0 / 6);
    const VECTOR e = (u[3] + u[4]) * (REAL)(1.0 / 24), f = (u[3] - u[4]) * (REAL)(1.0 / 12);
    w[0] = u[0] * (REAL)0.25 - a + e;
    w[1] = b + f;
    w[2] = 4 * e - a + u[5];
}

static void NAME(gradient_spectra)(const REAL *g, int64_t pitch, int64_t o, int64_t all, REAL *to) {
    for (int64_t i = 0; i < o; i += LANES) {
        VECTOR half[6][4], d[4], t[6];
        for (int b = 0; b < 4; b++) {
            for (int a = 0; a < 4; a++) d[a] = *(const ANYWHERE *)(g + a * pitch + b * o + i);
            NAME(gradient_spectrum)(d, t);
            for (int a = 0; a < 6; a++) half[a][b] = t[a];
        }
        for (int a = 0; a < 6; a++) {
            NAME(gradient_spectrum)(half[a], t);
            for (int b = 0; b < 6; b++) *(VECTOR *)(to + (a * 6 + b) * all * o + i) = t[b];
        }
    }
}

void NAME(winograd_weight_gradient)(const REAL *g, const REAL *x, REAL *of_w, const int64_t *size, int threads) {
    const NAME(sizes) *s = (const NAME(sizes) *)size;
    const int64_t c = s->c, o = s->o, down = (s->q + 3) / 4, across = (s->r + 3) / 4;
    const int64_t most = MAX(TILES, (int64_t)(1 << 20) / (36 * (c + o)));
    const int64_t band = MAX(1, MIN(down, most / across)), bands = (down + band - 1) / band;
    const int64_t some = (s->n + threads - 1) / threads;
    const int64_t together = bands > 1 ? 1 : MAX(1, MIN(some, most / (down * across)));
    const int64_t items = bands > 1 ? s->n * bands : (s->n + together - 1) / together;
    const int64_t all = together * band * across, pitch = (across * 4 + 2) * c, pitch_g = across * 4 * o;
    NAME(task) t = {x, s->n, s->h, s->w, c, 1, 1, 0, 0, o, 0, 0, -s->up, -s->left, down * 4 + 2, across * 4 + 2};
    NAME(task) t_g = {g, s->n, s->q, s->r, o, 1, 1, 0, 0, c, 0, 0, 0, 0, down * 4, across * 4};
    REAL *spectra = aligned_alloc(BYTES, threads * 36 * c * o * sizeof(REAL));
#pragma omp parallel num_threads(threads)
    {
        REAL *room = malloc((band * 4 + 2) * pitch * sizeof(REAL)), *room_g = malloc(band * 4 * pitch_g * sizeof(REAL));
        REAL *v = aligned_alloc(BYTES, 36 * all * c * sizeof(REAL));
        REAL *m = aligned_alloc(BYTES, 36 * all * o * sizeof(REAL));
        REAL *sums = spectra + omp_get_thread_num() * 36 * c * o;
        memset(sums, 0, 36 * c * o * sizeof(REAL));
#pragma omp for schedule(static)
        for (int64_t item = 0; item < items; item++) {
            const int64_t first_n = bands > 1 ? item / bands : item * together, d0 = bands > 1 ? item % bands * band : 0;
            const int64_t last_n = MIN(s->n, first_n + together), d1 = MIN(down, d0 + band);
            int64_t many = 0;
            for (int64_t k = first_n; k < last_n; k++) {
                NAME(framed)(&t, k, d0 * 4, (d1 - d0) * 4 + 2, room);
                NAME(framed)(&t_g, k, d0 * 4, (d1 - d0) * 4, room_g);
                for (int64_t a = 0; a < d1 - d0; a++)
                    for (int64_t b = 0; b < across; b++, many++) {
                        NAME(tile_spectra)(room + a * 4 * pitch + b * 4 * c, pitch, c, all, v + many * c);
                        NAME(gradient_spectra)(room_g + a * 4 * pitch_g + b * 4 * o, pitch_g, o, all, m + many * o);
                    }
            }
            for (int k = 0; k < 36; k++)
                for (int64_t begin = 0; begin < o; begin += 2 * LANES) {
                    const int two = NAME(block)(o, begin) > LANES;
                    const int64_t length = NAME(tile_length)(c, two ? WIDE : NARROW);
                    for (int64_t at = 0; at < c; at += length) {
                        const int64_t p = MIN(length, c - at);
                        const NAME(outing) outer = two ? NAME(outers_two)[p - 1] : NAME(outers_one)[p - 1];
                        outer(v + k * all * c + at, 0, c, m + k * all * o + begin, 0, o, 1, many,
                              sums + (k * c + at) * o + begin, o);
                    }
                }
        }
        free(room);
        free(room_g);
        free(v);
        free(m);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < c; i++)
            for (int64_t j = 0; j < o; j += LANES) {
                VECTOR half[3][6], u[6], found[3];
                for (int b = 0; b < 6; b++) {
                    for (int a = 0; a < 6; a++) {
                        u[a] = *(const VECTOR *)(spectra + ((a * 6 + b) * c + i) * o + j);
                        for (int k = 1; k < omp_get_num_threads(); k++)
                            u[a] += *(const VECTOR *)(spectra + ((k * 36 + a * 6 + b) * c + i) * o + j);
                    }
                    NAME(filter_gradient)(u, found);
                    for (int a = 0; a < 3; a++) half[a][b] = found[a];
                }
                for (int a = 0; a < 3; a++) {
                    NAME(filter_gradient)(half[a], found);
                    for (int b = 0; b < 3; b++)
                        for (int k = 0; k < LANES; k++) of_w[((j + k) * 9 + a * 3 + b) * c + i] = found[b][k];
                }
            }
    }
    free(spectra);
}

/* As the functions of those names in conv.h, for filters of 3 x 3, stride 1, one group and whole vectors of channels. */
void NAME(winograd_forward)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const int64_t *size, int threads) {
    const NAME(sizes) *s = (const NAME(sizes) *)size;
    NAME(winograd)(x, w, bias, y, s->n, s->h, s->w, s->c, s->q, s->r, s->o, s->up, s->left, 0, threads);
}

void NAME(winograd_input_gradient)(const REAL *g, const REAL *w, REAL *of_x, const int64_t *size, int threads) {
    const NAME(sizes) *s = (const NAME(sizes) *)size;
    NAME(winograd)(g, w, 0, of_x, s->n, s->q, s->r, s->o, s->h, s->w, s->c, 2 - s->up, 2 - s->left, 1, threads);
}

int NAME(lanes)(void) { return LANES; }
#undef LANES
#undef VECTOR
#undef ANYWHERE
#undef INLINE
#undef TILES
