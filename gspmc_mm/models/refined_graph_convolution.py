"""The product at the heart of CTR-GCN, with a backward pass of its own so that no V x V tensor has to be kept.

With a topology of its own for every clip, subset and channel, the graph unit has S * C_out * V * V numbers per clip: at
the 87 joints of a signing body 6 to 23 MB, four times what the features take. Here they live only while one subset of a
few clips is computed, in a buffer that is used again for the next, and backward makes them anew: that costs
R / (T + C_in) of the unit's arithmetic. Source: Chen et al., "Channel-wise Topology Refinement Graph Convolution for
Skeleton-Based Action Recognition", ICCV 2021, equations 4 to 8; written from the mathematics of the paper.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Numbers in one buffer of topologies. On a CPU it should stay in the cache, and below the size from which the C library
# gives memory back to the system at every release (32 MB): page faults would cost more than the product itself.
CPU_BUFFER = 2**19
ACCELERATOR_BUFFER = 2**27


def mixing_weights(weight: Tensor, bias: Tensor, alpha: Tensor) -> Tensor:
    """One matrix per subset that turns relations into a topology: alpha, its bias and the shared part folded in.

    `topology = mixing @ [tanh(query - key); 1; shared]` is shared + alpha (weight . tanh(...) + bias) (CTR-GCN, eq. 7)
    as one product, so that one V x V tensor per channel is ever written.

    Args:
        weight: (S, C, R) of the refinement.
        bias: (S, C) of the refinement.
        alpha: (1,).

    Returns:
        (S, C, R + 2).
    """
    return torch.cat([alpha * weight, (alpha * bias).unsqueeze(-1), torch.ones_like(bias).unsqueeze(-1)], dim=-1)


def relations(rows: Tensor, columns: Tensor, shared: Tensor, out: Tensor, negate: bool = False) -> Tensor:
    """Relation maps: tanh of the differences of two joints by channel, then a map of ones, then the shared one.

    Args:
        rows: (N, R, V) projections that vary along the rows of the result.
        columns: (N, R, V) projections that vary along its columns.
        shared: (V, V), rows and columns as in the result.
        out: (N, R + 2, V, V) where the result is written.
        negate: tanh(columns - rows) instead of tanh(rows - columns).

    Returns:
        `out`.
    """
    r = rows.size(1)
    first, second = rows.unsqueeze(-1), columns.unsqueeze(-2)
    if negate:
        first, second = second, first
    # In the type of the projections, float32: half precision would cost digits, and on a CPU five times the time.
    out[:, :r] = torch.sub(first, second).tanh_()
    out[:, r] = 1
    out[:, r + 1] = shared
    return out


def refined_topology(query: Tensor, key: Tensor, mixing: Tensor, shared: Tensor) -> Tensor:
    """Topology of every channel: shared + alpha (weight . tanh(query_u - key_v) + bias) (CTR-GCN, eq. 5 to 7).

    Args:
        query: (N, S, R, V) projection of the joint that receives, S subsets, R relation channels.
        key: (N, S, R, V) projection of the joint that gives.
        mixing: (S, C, R + 2), see `mixing_weights`.
        shared: (S, V, V), (receiving, giving).

    Returns:
        (N, S, C, V, V), last two axes (receiving joint u, giving joint v).
    """
    tanh = torch.tanh(query.unsqueeze(-1) - key.unsqueeze(-2))
    r = tanh.size(2)
    refined = torch.matmul(mixing[..., :r], tanh.flatten(3)).unflatten(-1, tanh.shape[3:])
    return refined + mixing[..., r, None, None] + shared.unsqueeze(1)


def refined_graph_convolution(
    x: Tensor,
    value_weight: Tensor,
    value_bias: Tensor,
    query: Tensor,
    key: Tensor,
    mixing: Tensor,
    shared: Tensor,
    start: Tensor | None = None,
    pad_joints_to: int = 1,
) -> Tensor:
    """Sum over subsets and giving joints of topology times values, a topology for every channel (CTR-GCN, eq. 8).

    Equal to `einsum("nscuv,nsctv->nctu", refined_topology(...), value_weight x + value_bias)`.

    Args:
        x: (N, C_in, T, V) features.
        value_weight: (S, C, C_in) of the 1x1 convolution that makes the values.
        value_bias: (S, C).
        query: (N, S, R, V) projection of the joint that receives.
        key: (N, S, R, V) projection of the joint that gives.
        mixing: (S, C, R + 2), see `mixing_weights`.
        shared: (S, V, V), (receiving, giving).
        start: (N, C, T, V) that the sum is added to, in place; only where no gradient is wanted.
        pad_joints_to: The products are taken over V filled up to a multiple of this, with joints that neither give nor
            receive. 8 lets the rows of half-precision matrices begin where tensor cores want them. The result is the
            same; the copies that it takes may cost more than they bring.

    Returns:
        (N, C, T, V) in the type of `x`, under autocast in the type of autocast.
    """
    if torch.jit.is_tracing():  # exporters and counters of FLOPs know the plain formula, not buffers and chunks
        values = torch.matmul(value_weight, x.flatten(2).unsqueeze(1)) + value_bias.unsqueeze(-1)
        values = values.unflatten(-1, x.shape[2:])
        y = torch.matmul(values, refined_topology(query, key, mixing, shared).transpose(-1, -2)).sum(1)
        return y if start is None else start + y
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    # The joints' projections are small and their differences are what counts: they stay in full precision.
    projections = [one.to(torch.promote_types(one.dtype, torch.float32)) for one in (query, key)]
    inputs = [one.to(dtype) for one in (x, value_weight, value_bias)] + projections
    inputs += [one.to(dtype) for one in (mixing, shared)]
    wants_gradient = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    joints = x.size(-1)
    missing = -joints % pad_joints_to
    if missing:
        for index in (0, 3, 4):  # x, query, key
            inputs[index] = F.pad(inputs[index], (0, missing))
        inputs[6] = F.pad(inputs[6], (0, missing, 0, missing))
    if wants_gradient:
        y = _RefinedGraphConvolution.apply(*inputs, joints)
    elif missing and start is not None:
        return start.add_(_forward(*inputs, joints)[0][..., :joints])
    else:
        y = _forward(*inputs, joints, start=start)[0]
    return y[..., :joints].contiguous() if missing else y


def _chunks(clips: int, channels: int, joints: int, x: Tensor) -> list[slice]:
    """Runs of clips whose topologies of one subset fit the buffer; all in one where the graph is being compiled."""
    if torch.compiler.is_compiling():
        return [slice(0, clips)]
    room = CPU_BUFFER if x.device.type == "cpu" else ACCELERATOR_BUFFER
    step = max(1, room // (channels * joints * joints))
    return [slice(at, min(at + step, clips)) for at in range(0, clips, step)]


def _each(weight: Tensor, clips: int) -> Tensor:
    """A matrix (C, K) for every clip, (N, C, K), without a copy."""
    return weight.expand(clips, -1, -1)


def _silence(values: Tensor, joints: int) -> None:
    """Set what stands behind the first joints of (..., V) to 0, in place: filled up joints give nothing."""
    if joints < values.size(-1):
        values[..., joints:] = 0


def _forward(
    x: Tensor,
    value_weight: Tensor,
    value_bias: Tensor,
    query: Tensor,
    key: Tensor,
    mixing: Tensor,
    shared: Tensor,
    joints: int,
    start: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """The sum, and the values of each subset (N * C, T, V); of the V joints only the first `joints` give."""
    n, _, t, v = x.shape
    subsets, c, _ = value_weight.shape
    r = query.size(2)
    flat = x.reshape(n, -1, t * v)
    values = [
        torch.baddbmm(value_bias[s].unsqueeze(-1), _each(value_weight[s], n), flat).view(n * c, t, v)
        for s in range(subsets)
    ]
    for one in values:
        _silence(one, joints)
    out = x.new_empty(n, c, t, v) if start is None else start
    chunks = _chunks(n, c, v, x)
    longest = chunks[0].stop
    related, topology = x.new_empty(longest, r + 2, v, v), x.new_empty(longest, c, v * v)
    for clips in chunks:
        m = clips.stop - clips.start
        rows = slice(clips.start * c, clips.stop * c)
        target = out[clips].view(-1, t, v)
        for s in range(subsets):
            # Rows give and columns receive, so that both factors of the product lie as they are.
            relations(key[clips, s], query[clips, s], shared[s].t(), out=related[:m], negate=True)
            torch.bmm(_each(mixing[s], m), related[:m].flatten(2), out=topology[:m])
            target.baddbmm_(values[s][rows], topology[:m].view(-1, v, v), beta=0 if s == 0 and start is None else 1)
    return out, values


class _RefinedGraphConvolution(torch.autograd.Function):
    """Keeps the features and the values; topologies are made again in backward."""

    @staticmethod
    def forward(ctx, x, value_weight, value_bias, query, key, mixing, shared, joints):
        out, values = _forward(x, value_weight, value_bias, query, key, mixing, shared, joints)
        ctx.joints = joints
        ctx.save_for_backward(x, value_weight, value_bias, query, key, mixing, shared, *values)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, value_weight, value_bias, query, key, mixing, shared, *values = ctx.saved_tensors
        n, c_in, t, v = x.shape
        subsets, c, _ = value_weight.shape
        r = query.size(2)
        flat, grad = x.reshape(n, c_in, t * v), grad.contiguous()
        grad_x = torch.empty_like(flat)
        grad_query, grad_key = torch.empty_like(query), torch.empty_like(key)
        # Sums over the clips are kept in float32, whatever the type of the products.
        wide = torch.promote_types(x.dtype, torch.float32)
        sums = [torch.zeros_like(one, dtype=wide) for one in (value_weight, value_bias, mixing, shared)]
        grad_value_weight, grad_value_bias, grad_mixing, grad_shared = sums
        chunks = _chunks(n, c, v, x)
        longest = chunks[0].stop
        every_related, every_grad_related = x.new_empty(2, longest, r + 2, v, v).unbind(0)
        every_topology, every_grad_values = x.new_empty(longest, c, v * v), x.new_empty(longest * c, t, v)
        for clips in chunks:
            m = clips.stop - clips.start
            rows = slice(clips.start * c, clips.stop * c)
            upstream = grad[clips].view(-1, t, v)
            topology, grad_values = every_topology[:m], every_grad_values[: m * c]
            for s in range(subsets):
                # Here rows receive: the transpose of what forward has, again so that nothing is copied.
                related = relations(query[clips, s], key[clips, s], shared[s], out=every_related[:m]).flatten(2)
                torch.bmm(_each(mixing[s], m), related, out=topology)
                torch.bmm(upstream, topology.view(-1, v, v), out=grad_values)
                _silence(grad_values, ctx.joints)
                by_clip = grad_values.view(m, c, t * v)
                grad_x[clips].baddbmm_(_each(value_weight[s].t(), m), by_clip, beta=0 if s == 0 else 1)
                grad_value_weight[s] += torch.bmm(by_clip, flat[clips].transpose(1, 2)).sum(0, dtype=wide)
                grad_value_bias[s] += by_clip.sum((0, 2), dtype=wide)
                # The buffer of the topology takes its gradient.
                torch.bmm(upstream.transpose(1, 2), values[s][rows], out=topology.view(-1, v, v))
                grad_mixing[s] += torch.bmm(topology, related.transpose(1, 2)).sum(0, dtype=wide)
                grad_related = every_grad_related[:m].flatten(2)
                torch.bmm(_each(mixing[s].t(), m), topology, out=grad_related)
                grad_shared[s] += grad_related[:, r + 1].sum(0, dtype=wide).view(v, v)
                tanh = related[:, :r]
                inner = grad_related[:, :r].mul_(1 - tanh * tanh).view(-1, r, v, v)
                grad_query[clips, s] = inner.sum(-1)
                grad_key[clips, s] = inner.sum(-2).neg_()
        narrow = [total.to(x.dtype) for total in sums]
        return (grad_x.view_as(x), narrow[0], narrow[1], grad_query, grad_key, narrow[2], narrow[3], None)
