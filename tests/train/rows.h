/* Rows of layers that the library does not have, for mls_net_custom. */

static size_t work_count(const mls_work *w)
{
    return (size_t)w->out.h * (size_t)w->out.w * (size_t)w->out.c;
}

/* y = x, or slope * x where x is not positive: trained numbers, sums of each image, a serial step. */
static const char *prelu_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    T_CHECK(w->parameters == NULL && w->in[0].c == sizes->shape.c);
    sizes->weights = sizes->sums = (size_t)sizes->shape.c;
    return NULL;
}

static void prelu_init(const mls_work *w, uint64_t seed)
{
    for (int32_t ch = 0; ch < w->out.c; ch++) {
        w->weights[0][ch] = (float)mls_random16(seed, (uint64_t)ch) / 65536;
    }
}

static void prelu_forward(const mls_work *w)
{
    T_CHECK(w->x[0] && w->y && !w->x[1] && !w->dy && !w->dx[0] && !w->keep && !w->sums);
    T_CHECK(!w->gradients[0] && !w->result); /* only what the step names */
    for (size_t i = 0; i < work_count(w); i++) {
        float x = w->x[0][i];
        w->y[i] = x > 0 ? x : x * w->weights[0][i % (size_t)w->out.c];
    }
}

static void prelu_slopes(const mls_work *w)
{
    size_t c = (size_t)w->out.c;
    T_CHECK(w->x[0] && w->dy && w->sums && !w->y && !w->dx[0] && w->training);
    for (size_t ch = 0; ch < c; ch++) w->sums[ch] = 0;
    for (size_t i = 0; i < work_count(w); i++) {
        if (!(w->x[0][i] > 0)) w->sums[i % c] += (double)w->x[0][i] * (double)w->dy[i];
    }
}

static void prelu_sum(const mls_work *w)
{
    for (int32_t n = 0; n < w->out.n; n++) {
        for (int32_t ch = 0; ch < w->out.c; ch++) {
            w->gradients[0][ch] += (float)w->sums[n * w->out.c + ch];
        }
    }
}

static void prelu_dx(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) {
        float slope = w->x[0][i] > 0 ? 1 : w->weights[0][i % (size_t)w->out.c];
        w->dx[0][i] = w->dy[i] * slope;
    }
}

static const mls_step prelu_forward_steps[] = {{0, MLS_EACH, MLS_X, MLS_Y, prelu_forward},
                                               MLS_STEPS_END};
static const mls_step prelu_backward_steps[] = {
    {MLS_IF_TRAINED, MLS_EACH, MLS_X | MLS_DY, MLS_SUMS, prelu_slopes},
    {MLS_IF_TRAINED, MLS_AFTER, MLS_SUMS, 0, prelu_sum},
    {MLS_IF_WANTED, MLS_EACH, MLS_X | MLS_DY, MLS_DX, prelu_dx},
    MLS_STEPS_END};
static const mls_layer_kind prelu = {
    "prelu", 0, prelu_shape, prelu_init, prelu_forward_steps, prelu_backward_steps, NULL, NULL};

/* y = x / (1 + |x|), whose backward reads its output: a layer behind it must not overwrite that. */
static void softsign_forward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) {
        float x = w->x[0][i], most = x < 0 ? 1 - x : 1 + x;
        w->y[i] = x / most;
    }
}

static void softsign_backward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) {
        float y = w->y[i], rest = y < 0 ? 1 + y : 1 - y;
        w->dx[0][i] = w->dy[i] * (rest * rest);
    }
}

static const mls_step softsign_forward_steps[] = {{0, MLS_EACH, MLS_X, MLS_Y, softsign_forward},
                                                  MLS_STEPS_END};
static const mls_step softsign_backward_steps[] = {
    {MLS_IF_WANTED, MLS_EACH, MLS_Y | MLS_DY, MLS_DX, softsign_backward}, MLS_STEPS_END};
static const mls_layer_kind softsign = {
    "softsign", 0, NULL, NULL, softsign_forward_steps, softsign_backward_steps, NULL, NULL};

/* y = -3/4 x, in place. Not -x: what adds x to that is 0 whatever x is, and a batch norm behind it makes
   gradients of nothing but rounding. */
static void turn_forward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) w->y[i] = -0.75f * w->x[0][i];
}

static void turn_backward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) w->dx[0][i] = -0.75f * w->dy[i];
}

static const mls_step turn_forward_steps[] = {{0, MLS_EACH, MLS_X, MLS_Y, turn_forward},
                                              MLS_STEPS_END};
static const mls_step turn_backward_steps[] = {
    {MLS_IF_WANTED, MLS_EACH, MLS_DY, MLS_DX, turn_backward}, MLS_STEPS_END};
static const mls_layer_kind turn = {
    "turn", MLS_IN_PLACE, NULL, NULL, turn_forward_steps, turn_backward_steps, NULL, NULL};

/* y = x1 * x2, element by element. */
static const char *product_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)sizes;
    return memcmp(&w->in[0], &w->in[1], sizeof w->in[0]) ? "it needs inputs of one shape" : NULL;
}

static void product_forward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) w->y[i] = w->x[0][i] * w->x[1][i];
}

static void product_backward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) {
        for (int j = 0; j < 2; j++) {
            if (w->dx[j]) w->dx[j][i] = w->dy[i] * w->x[1 - j][i];
        }
    }
}

static const mls_step product_forward_steps[] = {{0, MLS_EACH, MLS_X, MLS_Y, product_forward},
                                                 MLS_STEPS_END};
static const mls_step product_backward_steps[] = {
    {MLS_IF_WANTED, MLS_EACH, MLS_X | MLS_DY, MLS_DX, product_backward}, MLS_STEPS_END};
static const mls_layer_kind product = {
    "product", 0, product_shape, NULL, product_forward_steps, product_backward_steps, NULL, NULL};

/* Passes on in place, and counts the steps that went well; keeps an odd number of bytes. */
static const char *tally_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)w;
    sizes->state = 1, sizes->constants = 3, sizes->keep = 5;
    return NULL;
}

static void tally_forward(const mls_work *w)
{
    T_CHECK((uintptr_t)w->keep % 16 == 0);
    memset(w->keep, w->image + 1, 5);
    memmove(w->y, w->x[0], work_count(w) * sizeof(float));
}

static void tally_serial(const mls_work *w)
{
    T_EQ_INT(((const uint8_t *)w->keep)[16 * (w->out.n - 1) + 4], w->out.n);
    for (int i = 0; i < 3; i++) w->constants[i] = (float)w->out.n;
}

static void tally_settle(const mls_work *w)
{
    T_EQ_INT((int)w->constants[2], w->out.n);
    w->state[0] += 1;
}

static const mls_step tally_forward_steps[] = {
    {0, MLS_EACH, MLS_X, MLS_Y | MLS_KEEP, tally_forward},
    {0, MLS_SERIAL, MLS_KEEP, 0, tally_serial},
    MLS_STEPS_END};
static const mls_layer_kind tally = {
    "tally",      MLS_IN_PLACE, tally_shape, NULL, tally_forward_steps, turn_backward_steps,
    tally_settle, NULL};

/* Half the squared distance of the scores from 1 for the label and 0 for the others. */
static const char *squares_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)w;
    sizes->sums = 2;
    return NULL;
}

static void squares_forward(const mls_work *w)
{
    w->sums[0] = w->sums[1] = 0;
    for (int32_t i = 0; i < w->out.c; i++) {
        float d = w->x[0][i] - (i == w->labels[w->image] ? 1.0f : 0.0f);
        w->sums[0] += 0.5 * (double)d * (double)d;
        if (w->dx[0]) w->dx[0][i] = d;
    }
    T_CHECK((w->dx[0] != NULL) == w->training);
    w->sums[1] = w->x[0][w->labels[w->image]] > 0.5f;
}

static void squares_sum(const mls_work *w)
{
    for (int32_t n = 0; n < w->out.n; n++) {
        w->result->loss += w->sums[2 * n];
        w->result->correct += (int32_t)w->sums[2 * n + 1];
    }
}

static const mls_step squares_steps[] = {
    {MLS_IF_LABELS, MLS_EACH, MLS_X, MLS_DX | MLS_SUMS, squares_forward},
    {MLS_IF_LABELS, MLS_AFTER, MLS_SUMS, 0, squares_sum},
    MLS_STEPS_END};
static const mls_layer_kind squares = {"squares",     MLS_LOSS, squares_shape, NULL,
                                       squares_steps, NULL,     NULL,          NULL};
