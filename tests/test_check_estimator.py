"""scikit-learn's own checks of an estimator, where they apply; every exception with its reason."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import wdl_tutorial as wt


class OnAnyTable(wt.WassersteinDictionary):
    """The dictionary on the tables that scikit-learn makes up: rows become histograms of bins that stand side by side.

    Its own door wants rows that sum to one and a cost of as many bins; the checks know neither.
    """

    def __init__(self, n_atoms=1, *, solver="lbfgs", max_iter=3, random_state=0):
        super().__init__(
            n_atoms, cost=None, eps=0.2, loss="kl_reverse", n_iter=3, tol=None, max_iter=max_iter, n_jobs=1,
            random_state=random_state, solver=solver,
        )  # fmt: skip

    def _check_data(self, X, **options):
        shape = X.shape if hasattr(X, "toarray") else np.asarray(X).shape
        n_bins = shape[1] if len(shape) == 2 and shape[1] else 1
        vars(self)["cost"] = wt.GridCost(n_bins, spacing=1 / n_bins)
        numbers = np.empty(0) if hasattr(X, "toarray") else np.asarray(X)
        if numbers.ndim == 2 and numbers.size and numbers.dtype.kind in "fiub":
            if np.isfinite(numbers).all() and numbers.min() >= 0:
                X = (numbers + 1e-3) / (numbers + 1e-3).sum(axis=1, keepdims=True)
        return super()._check_data(X, **options)


WORDS = "the same refusal, of the same type, in our words"
EXPECTED = {
    "check_dont_overwrite_attributes": "the stand-in makes its cost when it sees the bins",
    "check_dont_overwrite_parameters": "the stand-in makes its cost when it sees the bins",
    "check_dict_unchanged": "the stand-in makes its cost when it sees the bins",
    "check_estimators_empty_data_messages": WORDS + ": X has 0 bins",
    "check_no_attributes_set_in_init": "the stand-in hands its settings to the estimator's own door",
    "check_n_features_in_after_fitting": WORDS + ": X has so many bins, cost so many",
    "check_positive_only_tag_during_fit": WORDS + ": X must not be negative",
    "check_all_zero_sample_weights_error": WORDS + ": sample_weight sums to 0",
    "check_fit1d": WORDS + ": X must be (n_samples, n_bins)",
    "check_fit2d_predict1d": WORDS + ": X must be (n_samples, n_bins)",
    "check_dtype_object": "arrays of objects are refused, not converted",
}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([OnAnyTable(), OnAnyTable(solver="minibatch")], expected_failed_checks=lambda _: EXPECTED)
def test_the_dictionary_is_an_estimator_to_scikit_learn(estimator, check):
    check(estimator)
