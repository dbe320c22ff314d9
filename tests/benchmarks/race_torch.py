"""The training loop that people write for a network: a DataLoader, nn.Sequential, AdamW."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def train(params: dict[str, Any], X: np.ndarray, y: np.ndarray, *, seed: int) -> tuple[StandardScaler, nn.Module]:
    """Train a classifier on X (n, p) and codes y (n,)."""
    torch.manual_seed(seed)
    scaler = StandardScaler().fit(X)
    data = TensorDataset(inputs(scaler, X), torch.tensor(y, dtype=torch.long))
    loader = DataLoader(data, batch_size=params["batch_size"], shuffle=True)
    network = make_network(params, X.shape[1], int(y.max()) + 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=params["learning_rate"], weight_decay=params["weight_decay"])
    loss_of = nn.CrossEntropyLoss()
    network.train()
    for _ in range(params["epochs"]):
        for numbers, target in loader:
            optimizer.zero_grad()
            loss_of(network(numbers), target).backward()
            optimizer.step()
    return scaler, network.eval()


def make_network(params: dict[str, Any], n_inputs: int, n_outputs: int) -> nn.Module:
    """Return hidden layers of one width, and a linear one."""
    layers: list[nn.Module] = []
    for _ in range(params["layers"]):
        layers.append(nn.Linear(n_inputs, params["units"]))
        if params["normalization"] == "batch":
            layers.append(nn.BatchNorm1d(params["units"]))
        layers += [nn.ReLU(), nn.Dropout(params["dropout"])]
        n_inputs = params["units"]
    return nn.Sequential(*layers, nn.Linear(n_inputs, n_outputs))


def predict(model: tuple[StandardScaler, nn.Module], X: np.ndarray) -> np.ndarray:
    """Return probabilities (n, n_classes)."""
    scaler, network = model
    with torch.no_grad():
        return network(inputs(scaler, X)).double().softmax(dim=1).numpy()


def inputs(scaler: StandardScaler, X: np.ndarray) -> torch.Tensor:
    """Return scaled numbers, 0 where missing."""
    return torch.tensor(np.nan_to_num(scaler.transform(X)), dtype=torch.float32)
