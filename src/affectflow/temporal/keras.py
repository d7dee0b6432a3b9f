"""Keras' layers in torch: one bias per gate, and the initial values of ``keras.layers``.

Both order a recurrent layer's gates input, forget, cell, output.
"""

from __future__ import annotations

from torch import nn


def lstm(inputs: int, units: int) -> nn.LSTM:
    """Return an LSTM layer with the trainable parameters of ``keras.layers.LSTM(units)``.

    ``4 (inputs units + units^2 + units)`` of them. torch adds a second bias to the first; it is
    held at zero, so that the library's fused kernels serve.

    Initial values as ``keras.layers.LSTM`` documents them: input weights Glorot uniform (Glorot
    and Bengio 2010, eq. 16) over the whole (inputs, 4 units) matrix, recurrent weights orthogonal
    (Saxe et al. 2014) over the whole (units, 4 units) matrix, biases 0 but 1 at the forget gate
    (Jozefowicz et al. 2015).
    """
    layer = nn.LSTM(inputs, units, batch_first=True)
    weight, recurrent, bias, second_bias = layer.all_weights[0]
    nn.init.xavier_uniform_(weight)
    nn.init.orthogonal_(recurrent)
    nn.init.zeros_(bias)
    nn.init.ones_(bias[units : 2 * units])
    nn.init.zeros_(second_bias).requires_grad_(False)
    return layer


def dense(inputs: int, units: int) -> nn.Linear:
    """Return a layer as ``keras.layers.Dense(units)``: Glorot uniform weights, zero biases."""
    layer = nn.Linear(inputs, units)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
